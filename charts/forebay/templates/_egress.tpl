{{/* The backends that each service opens connections to; ARCHITECTURE.md has the table. Gives YAML. */}}
{{- define "forebay.backends" -}}
registry: [cassandra, kafka, lake, telemetry]
compute: [cassandra, kafka, lake, telemetry]
ingestion: [cassandra, kafka, lake, telemetry]
online-serving: [cassandra, kafka, telemetry]
offline-query: [kafka, lake, telemetry]
evaluation: [lake, telemetry]
{{- end -}}

{{/* Rules for connections that a pod opens. Takes (dict "root" $ "to" list of backends "registry" bool "own" the service's own config). */}}
{{- define "forebay.egress" -}}
{{- $policy := .root.Values.networkPolicy -}}
- to:
    {{- toYaml $policy.dns.to | nindent 4 }}
  ports:
    {{- range $policy.dns.ports }}
    - {port: {{ . }}, protocol: UDP}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- if .registry }}
- to:
    - podSelector:
        matchLabels:
          {{- include "forebay.selector" (dict "root" .root "component" "registry") | nindent 10 }}
  ports:
    - {port: http, protocol: TCP}
{{- end }}
{{- $said := include "forebay.said" (dict "root" .root "own" .own) | fromYaml }}
{{- $traced := or .root.Values.existingConfigMap (dig "telemetry" "otlp_endpoint" "" $said) }}
{{- range $name := .to }}
{{- with ternary (dict) (get $policy.backends $name) (and (eq $name "telemetry") (empty $traced)) }}
{{- if .ports }}
- ports:
    {{- range .ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  {{- with .to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- with $policy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end -}}
