{{/* What values come to: the settings of a service, Forebay's configuration as TOML and as variables. */}}

{{/* The services of this mode. Gives {components: [...]}. */}}
{{- define "forebay.components" -}}
{{- if eq .Values.mode "suite" -}}
components: [registry, compute, ingestion, online-serving, offline-query]
{{- else -}}
components: [evaluation]
{{- end -}}
{{- end -}}

{{/*
One map over another, all the way down. What is false, 0 or empty counts too, which Sprig's mergeOverwrite leaves out.
Takes (dict "below" map "above" map); changes below.
*/}}
{{- define "forebay.overlay" -}}
{{- $below := .below -}}
{{- range $key, $value := .above -}}
{{- if and (kindIs "map" $value) (kindIs "map" (get $below $key)) -}}
{{- include "forebay.overlay" (dict "below" (get $below $key) "above" $value) -}}
{{- else -}}
{{- $_ := set $below $key $value -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What a service has: the defaults, overridden by its own section. Takes (dict "root" $ "component" name). Gives YAML. */}}
{{- define "forebay.settings" -}}
{{- $own := ternary .root.Values.evaluation (get .root.Values.services .component) (eq .component "evaluation") -}}
{{- $settings := deepCopy .root.Values.defaults -}}
{{- include "forebay.overlay" (dict "below" $settings "above" (default (dict) $own)) -}}
{{- $_ := set $settings "resources" (default (dict) $settings.resources) -}}
{{ toYaml $settings }}
{{- end -}}

{{/* Thousandths of a quantity such as 20Gi or 250m; 0 for what is none. */}}
{{- define "forebay.thousandths" -}}
{{- $units := dict "" 1000 "m" 1 "k" 1e6 "M" 1e9 "G" 1e12 "T" 1e15 "Ki" 1024000 "Mi" 1048576000 "Gi" 1073741824000 "Ti" 1099511627776000 -}}
{{- $text := toString . -}}
{{- if regexMatch "^[0-9]+(\\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$" $text -}}
{{- $number := regexFind "^[0-9]+(\\.[0-9]+)?" $text -}}
{{- mulf (float64 $number) (float64 (get $units (trimPrefix $number $text))) | floor | int64 -}}
{{- else -}}
0
{{- end -}}
{{- end -}}

{{/* Whole bytes of a quantity. */}}
{{- define "forebay.bytes" -}}
{{- div (include "forebay.thousandths" . | int64) 1000 -}}
{{- end -}}

{{/* What a container takes as resources: a null is none. */}}
{{- define "forebay.resources" -}}
{{- $resources := dict -}}
{{- range $field, $value := . -}}
{{- if and (kindIs "map" $value) (ne $field "claims") -}}
{{- $amounts := dict -}}
{{- range $name, $amount := $value -}}
{{- if not (kindIs "invalid" $amount) -}}
{{- $_ := set $amounts $name $amount -}}
{{- end -}}
{{- end -}}
{{- if $amounts -}}
{{- $_ := set $resources $field $amounts -}}
{{- end -}}
{{- else if $value -}}
{{- $_ := set $resources $field $value -}}
{{- end -}}
{{- end -}}
{{ toYaml $resources }}
{{- end -}}

{{/* The configuration of the values for one service: what all share, and its own over it. Takes (dict "root" $ "own" map). Gives YAML. */}}
{{- define "forebay.said" -}}
{{- $config := deepCopy (default (dict) .root.Values.config) -}}
{{- include "forebay.overlay" (dict "below" $config "above" (deepCopy (default (dict) .own))) -}}
{{ toYaml $config }}
{{- end -}}

{{/* Seconds that a pod may take to end: until balancers know, for its requests, and again as long for its tasks. */}}
{{- define "forebay.drainSeconds" -}}
{{- add (int .preStopSleepSeconds) (int .draining.delaySeconds) (mul 2 (int .draining.deadlineSeconds)) -}}
{{- end -}}

{{/* Where the files of a backend's certificates are in a container. */}}
{{- define "forebay.certificatePath" -}}
/etc/forebay/certificates/{{ .backend }}/{{ .file }}
{{- end -}}

{{/* The configuration that all services share: the chart's part, and the values' over it. Gives YAML. */}}
{{- define "forebay.config" -}}
{{- $values := .Values -}}
{{- $draining := $values.defaults.draining -}}
{{- $server := dict "listen" "0.0.0.0:8080" "allow_unauthenticated" $values.allowUnauthenticated -}}
{{- $_ := set $server "drain_delay" (printf "%ds" (int $draining.delaySeconds)) -}}
{{- $_ := set $server "drain_deadline" (printf "%ds" (int $draining.deadlineSeconds)) -}}
{{- $config := dict "server" $server "storage" (dict "data_dir" "/var/lib/forebay") -}}
{{- if eq $values.mode "suite" -}}
{{- $_ := set $config "registry" (dict "url" (printf "http://%s-registry:%d" (include "forebay.fullname" .) (int $values.service.port))) -}}
{{- end -}}
{{- range $backend, $certificates := $values.certificates -}}
{{- if $certificates.secretName -}}
{{- $files := dict -}}
{{- range $setting, $file := dict "ca_file" $certificates.ca "certificate_file" $certificates.certificate "key_file" $certificates.key -}}
{{- if $file -}}
{{- $_ := set $files $setting (include "forebay.certificatePath" (dict "backend" $backend "file" $file)) -}}
{{- end -}}
{{- end -}}
{{- if eq $backend "cassandra" -}}
{{- $_ := set $config "cassandra" (dict "tls" (merge (dict "enabled" true) $files)) -}}
{{- else if eq $backend "kafka" -}}
{{- $_ := set $config "kafka" (merge (dict "tls" true) $files) -}}
{{- else -}}
{{- $_ := set $config "lake" (dict "s3" $files) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- include "forebay.overlay" (dict "below" $config "above" (deepCopy (default (dict) $values.config))) -}}
{{ toYaml $config }}
{{- end -}}

{{/*
What stands over forebay.toml as variables: what a service has for itself, and with a ConfigMap of somebody else's, what the chart decides for all. Takes
(dict "root" $ "own" map). Gives YAML.
*/}}
{{- define "forebay.variables" -}}
{{- $variables := dict -}}
{{- if .root.Values.existingConfigMap -}}
{{- $variables = include "forebay.config" .root | fromYaml -}}
{{- end -}}
{{- include "forebay.overlay" (dict "below" $variables "above" .own) -}}
{{ toYaml $variables }}
{{- end -}}

{{/*
What one service has otherwise than the shared configuration: bounds that follow from its volume and its memory, its draining, and its own `config` over
them. Takes (dict "root" $ "component" name "settings" map). Gives YAML.
*/}}
{{- define "forebay.ownConfig" -}}
{{- $root := .root -}}
{{- $shared := default (dict) $root.Values.config -}}
{{- $config := dict -}}
{{- if has .component (list "compute" "offline-query" "evaluation") -}}
{{- $engine := dict -}}
{{- $space := ternary (dig "persistence" "size" "" .settings) (dig "scratch" "sizeLimit" "" .settings) (eq .component "evaluation") -}}
{{- $share := ternary 0.2 0.7 (eq .component "evaluation") -}}
{{- $bytes := include "forebay.bytes" $space | float64 -}}
{{- if and (gt $bytes 0.0) (not (hasKey (default (dict) $shared.engine) "spill_bytes")) -}}
{{- $_ := set $engine "spill_bytes" (mulf $bytes $share | floor | int64) -}}
{{- if eq .component "evaluation" -}}
{{- $_ := set $config "storage" (dict "log_bytes" (mulf $bytes $share | floor | int64)) -}}
{{- end -}}
{{- end -}}
{{- $memory := include "forebay.bytes" (dig "limits" "memory" "" .settings.resources) | float64 -}}
{{- if and (gt $memory 0.0) (not (hasKey (default (dict) $shared.engine) "memory_bytes")) -}}
{{- $_ := set $engine "memory_bytes" (mulf $memory 0.4 | floor | int64) -}}
{{- end -}}
{{- if $engine -}}
{{- $_ := set $config "engine" $engine -}}
{{- end -}}
{{- end -}}
{{- $server := dict -}}
{{- $draining := $root.Values.defaults.draining -}}
{{- if ne (int .settings.draining.delaySeconds) (int $draining.delaySeconds) -}}
{{- $_ := set $server "drain_delay" (printf "%ds" (int .settings.draining.delaySeconds)) -}}
{{- end -}}
{{- if ne (int .settings.draining.deadlineSeconds) (int $draining.deadlineSeconds) -}}
{{- $_ := set $server "drain_deadline" (printf "%ds" (int .settings.draining.deadlineSeconds)) -}}
{{- end -}}
{{- if $server -}}
{{- $_ := set $config "server" $server -}}
{{- end -}}
{{- include "forebay.overlay" (dict "below" $config "above" (deepCopy (default (dict) .settings.config))) -}}
{{ toYaml $config }}
{{- end -}}

{{/* A section of the configuration as TOML; JSON's scalars and lists are TOML's. Takes (dict "name" "cassandra.tls" "settings" map). */}}
{{- define "forebay.toml" -}}
{{- $name := .name -}}
{{- $scalars := list -}}
{{- range $setting, $value := .settings -}}
{{- if not (or (kindIs "map" $value) (kindIs "invalid" $value)) -}}
{{- $scalars = append $scalars (printf "%s = %s" (include "forebay.tomlKey" $setting) (toRawJson $value)) -}}
{{- end -}}
{{- end -}}
{{- if and $name $scalars }}
[{{ $name }}]
{{ join "\n" $scalars }}
{{ end -}}
{{- range $setting, $value := .settings -}}
{{- if kindIs "map" $value -}}
{{- $key := include "forebay.tomlKey" $setting -}}
{{- include "forebay.toml" (dict "name" (ternary (printf "%s.%s" $name $key) $key (ne $name "")) "settings" $value) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "forebay.tomlKey" -}}
{{ ternary . (toRawJson .) (regexMatch "^[A-Za-z0-9_-]+$" .) }}
{{- end -}}

{{/* Settings as variables: {cassandra: {keyspace: x}} is FOREBAY_CASSANDRA__KEYSPACE. Takes (dict "prefix" "FOREBAY_" "settings" map). Gives YAML. */}}
{{- define "forebay.environment" -}}
{{- $prefix := .prefix -}}
{{- range $name, $value := .settings }}
{{- $variable := print $prefix (upper $name) }}
{{- if kindIs "map" $value }}
{{- include "forebay.environment" (dict "prefix" (print $variable "__") "settings" $value) }}
{{- else if kindIs "string" $value }}
{{ $variable }}: {{ $value | quote }}
{{- else if not (kindIs "invalid" $value) }}
{{ $variable }}: {{ toRawJson $value | quote }}
{{- end }}
{{- end }}
{{- end -}}
