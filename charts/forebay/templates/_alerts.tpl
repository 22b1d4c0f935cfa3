{{/*
An alert of the PrometheusRule. Takes (dict "root" $ "alert" name "severity" s "for" d "expr" PromQL "summary" text "description" text); a summary says in a line
what is wrong, the runbook what to do. Gives a list item, or nothing for one that is disabled.
*/}}
{{- define "forebay.alert" -}}
{{- $rules := .root.Values.metrics.prometheusRule -}}
{{- $override := default (dict) (get $rules.overrides .alert) -}}
{{- if not (has .alert $rules.disabled) }}
- alert: {{ .alert }}
  expr: |
    {{- .expr | trim | nindent 4 }}
  for: {{ default (get . "for") (get $override "for") }}
  labels:
    severity: {{ default .severity $override.severity }}
    {{- with $rules.ruleLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    summary: {{ .summary | quote }}
    description: {{ .description | quote }}
    runbook_url: {{ printf "%s#%s" $rules.runbookBaseUrl (lower .alert) | quote }}
{{- end }}
{{- end -}}

{{/* The part of a selector that names this release's series: by namespace, and by jobs, which the operator calls as the Services. */}}
{{- define "forebay.series" -}}
{{- $jobs := list -}}
{{- range (include "forebay.components" . | fromYaml).components -}}
{{- $jobs = append $jobs (include "forebay.objectName" (dict "root" $ "component" .)) -}}
{{- end -}}
namespace={{ .Release.Namespace | quote }},job=~"{{ join "|" $jobs }}"
{{- end -}}
