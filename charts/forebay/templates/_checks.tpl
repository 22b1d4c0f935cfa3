{{/* Combinations of values that cannot work, beyond what the schema sees. Each fails with the value's name, or gives nothing. */}}

{{/* Requests over limits. Takes (dict "place" where in the values "resources" map). */}}
{{- define "forebay.checkResources" -}}
{{- $place := .place -}}
{{- $resources := default (dict) .resources -}}
{{- $limits := default (dict) $resources.limits -}}
{{- range $name, $request := default (dict) $resources.requests -}}
{{- $limit := get $limits $name -}}
{{- $most := include "forebay.thousandths" $limit | int64 -}}
{{- if and (hasKey $limits $name) (not (kindIs "invalid" $limit)) (gt (include "forebay.thousandths" $request | int64) $most) -}}
{{- fail (printf "%s: resources.requests.%s=%v is more than resources.limits.%s=%v; with null there is no limit" $place $name $request $name $limit) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Labels of the values that are the chart's own: selectors are made of some, and none can be there twice. */}}
{{- define "forebay.checkLabels" -}}
{{- $metrics := .Values.metrics -}}
{{- $places := dict
  "commonLabels" .Values.commonLabels
  "defaults.labels" .Values.defaults.labels
  "defaults.podLabels" .Values.defaults.podLabels
  "evaluation.labels" .Values.evaluation.labels
  "evaluation.podLabels" .Values.evaluation.podLabels
  "migration.podLabels" .Values.migration.podLabels
  "metrics.serviceMonitor.labels" $metrics.serviceMonitor.labels
  "metrics.prometheusRule.labels" $metrics.prometheusRule.labels
  "metrics.dashboard.labels" $metrics.dashboard.labels -}}
{{- range $service, $own := .Values.services -}}
{{- $_ := set $places (printf "services.%s.labels" $service) $own.labels -}}
{{- $_ := set $places (printf "services.%s.podLabels" $service) $own.podLabels -}}
{{- end -}}
{{- range $place, $labels := $places -}}
{{- range $label, $_ := $labels -}}
{{- if regexMatch "^(app\\.kubernetes\\.io/(name|instance|component|version|part-of|managed-by)|helm\\.sh/chart)$" $label -}}
{{- fail (printf "%s: %s is the chart's own label; nameOverride and the release's name decide what selectors are made of" $place $label) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Two Services with one port on the nodes. */}}
{{- define "forebay.checkNodePorts" -}}
{{- $taken := dict -}}
{{- range $component := (include "forebay.components" . | fromYaml).components -}}
{{- with get $.Values.service.nodePorts $component -}}
{{- $port := toString . -}}
{{- with get $taken $port -}}
{{- fail (printf "service.nodePorts: %s and %s have the same port %s" . $component $port) -}}
{{- end -}}
{{- $_ := set $taken $port $component -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Backends that the configuration of a service names, and its NetworkPolicy shuts out. Takes (dict "root" $ "component" name "place" where "own" its config). */}}
{{- define "forebay.checkEgress" -}}
{{- $root := .root -}}
{{- $place := .place -}}
{{- $config := include "forebay.said" . | fromYaml -}}
{{- $needs := get (include "forebay.backends" $root | fromYaml) .component -}}
{{- range $named := (include "forebay.endpoints" $config | fromYaml).endpoints -}}
{{- $ports := get (get $root.Values.networkPolicy.backends $named.backend) "ports" -}}
{{- if and (has $named.backend $needs) (not (include "forebay.opens" (dict "root" $root "ports" $ports "port" $named.port))) -}}
{{- fail (printf "%s: config.%s names %s, and networkPolicy.backends.%s.ports=%s does not open %v; nor does networkPolicy.extraEgress" $place $named.setting $named.address $named.backend (toJson $ports) $named.port) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Where a configuration says that backends are: a list of {backend, setting, address, port}, as {endpoints: [...]}. */}}
{{- define "forebay.endpoints" -}}
{{- $endpoints := list -}}
{{- range dig "cassandra" "contact_points" (list) . -}}
{{- $endpoints = append $endpoints (dict "backend" "cassandra" "setting" "cassandra.contact_points" "address" . "port" (regexFind "[0-9]+$" . | int)) -}}
{{- end -}}
{{- range dig "kafka" "brokers" (list) . -}}
{{- $endpoints = append $endpoints (dict "backend" "kafka" "setting" "kafka.brokers" "address" . "port" (regexFind "[0-9]+$" . | int)) -}}
{{- end -}}
{{- $root := dig "lake" "root" "" . -}}
{{- $endpoint := dig "lake" "s3" "endpoint" "" . -}}
{{- if $endpoint -}}
{{- $endpoints = append $endpoints (dict "backend" "lake" "setting" "lake.s3.endpoint" "address" $endpoint "port" (include "forebay.urlPort" $endpoint | int)) -}}
{{- else if hasPrefix "s3://" $root -}}
{{- /* Amazon's. */ -}}
{{- $endpoints = append $endpoints (dict "backend" "lake" "setting" "lake.root" "address" $root "port" 443) -}}
{{- end -}}
{{- with dig "telemetry" "otlp_endpoint" "" . -}}
{{- $endpoints = append $endpoints (dict "backend" "telemetry" "setting" "telemetry.otlp_endpoint" "address" . "port" (include "forebay.urlPort" . | int)) -}}
{{- end -}}
{{ toYaml (dict "endpoints" $endpoints) }}
{{- end -}}

{{/* The port of a URL: that which it names, or its scheme's. */}}
{{- define "forebay.urlPort" -}}
{{- $url := urlParse . -}}
{{- default (ternary "80" "443" (eq $url.scheme "http")) (trimPrefix ":" (regexFind ":[0-9]+$" $url.host)) -}}
{{- end -}}

{{/* Whether a port is among these, or opened to all pods. Takes (dict "root" $ "ports" list "port" number). Gives `yes`, or nothing. */}}
{{- define "forebay.opens" -}}
{{- $port := int .port -}}
{{- range .ports -}}
{{- if eq (int .) $port -}}yes{{- end -}}
{{- end -}}
{{- range $rule := .root.Values.networkPolicy.extraEgress -}}
{{- if not $rule.ports -}}yes{{- end -}}
{{- range $opened := $rule.ports -}}
{{- $first := $opened.port -}}
{{- if eq (default "TCP" $opened.protocol) "TCP" -}}
{{- /* A port by name is of the pods that are reached: nobody here knows its number. */ -}}
{{- if or (empty $first) (kindIs "string" $first) (and (le (int $first) $port) (ge (int (default $first $opened.endPort)) $port)) -}}yes{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
