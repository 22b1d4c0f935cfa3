{{/*
The path prefixes of each service. No two services share one, so that plain prefix rules put all of them under one base URL. Probes and /metrics have no
rule: they are for the cluster. Gives YAML.
*/}}
{{- define "forebay.prefixes" -}}
registry:
  - /v1/domains
  - /v1/entities
  - /v1/groups
  - /v1/features
  - /v1/views
  - /v1/sources
  - /v1/graph
  - /v1/plan
  - /v1/apply
  - /v1/search
  - /v1/changes
  - /v1/info
  - /schemas
  - /subjects
  - /config
  - /mode
  - /docs
  - /openapi
compute:
  - /v1/runs
  - /v1/schedule
  - /v1/streams
ingestion:
  - /v1/rows
  - /v1/imports
  - /v1/receipts
  - /v1/rejected
  - /v1/erasures
online-serving:
  - /v1/online-features
  - /get-online-features
offline-query:
  - /v1/historical-features
  - /v1/spines
  - /v1/training-sets
  - /v1/statistics
{{- end -}}

{{/* Who answers which prefixes in this mode: a list of {backend: name of the Service, prefixes: [...]}, as {routes: [...]}. */}}
{{- define "forebay.routes" -}}
{{- $prefixes := include "forebay.prefixes" . | fromYaml -}}
routes:
{{- range $service := list "registry" "compute" "ingestion" "online-serving" "offline-query" }}
  - backend: {{ include "forebay.objectName" (dict "root" $ "component" (ternary $service "evaluation" (eq $.Values.mode "suite"))) }}
    prefixes: {{ toJson (get $prefixes $service) }}
{{- end }}
{{- end -}}
