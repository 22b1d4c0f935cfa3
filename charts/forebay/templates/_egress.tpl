{{/* Rules for connections that a pod opens. Takes (dict "root" $ "to" list of backends "registry" bool). */}}
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
{{- $traced := or .root.Values.existingConfigMap (dig "telemetry" "otlp_endpoint" "" (default (dict) .root.Values.config)) }}
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
