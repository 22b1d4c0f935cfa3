{{/*
The path prefixes of each service. No two services share one, so that plain prefix rules put all of them under one base URL. Probes and /metrics have no
rule: they are for the cluster. A service knows its own contract, and /docs shows those that the process knows: the registry's, or all of them where one
process is all services. Gives YAML.
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
  - /openapi/registry.json
compute:
  - /v1/runs
  - /v1/schedule
  - /v1/streams
  - /openapi/compute.json
ingestion:
  - /v1/rows
  - /v1/imports
  - /v1/receipts
  - /v1/rejected
  - /v1/erasures
  - /openapi/ingestion.json
online-serving:
  - /v1/online-features
  - /get-online-features
  - /openapi/online-serving.json
offline-query:
  - /v1/historical-features
  - /v1/spines
  - /v1/training-sets
  - /v1/statistics
  - /openapi/offline-query.json
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
