{{/* The pod that every workload of the chart is made of. */}}

{{/* Mounts of the configuration and of certificates. */}}
{{- define "forebay.configMounts" -}}
- name: config
  mountPath: /etc/forebay/forebay.toml
  subPath: forebay.toml
  readOnly: true
{{- range $backend, $certificates := .Values.certificates }}
{{- if $certificates.secretName }}
- name: certificates-{{ $backend }}
  mountPath: /etc/forebay/certificates/{{ $backend }}
  readOnly: true
{{- end }}
{{- end }}
{{- end -}}

{{/*
The annotation that holds forebay.toml. A ConfigMap would be replaced in place, and pods of the version before that start anew while another rolls out, or
stands still, would read settings that they may not know. What is in the pod template stays with the ReplicaSet that was made of it, and a rollback brings it
back.
*/}}
{{- define "forebay.settingsAnnotation" -}}
forebay/settings
{{- end -}}

{{/* The annotations of a pod. Takes (dict "root" $ "chart" map of the chart's "own" map of the values'); the chart's win. */}}
{{- define "forebay.podAnnotations" -}}
{{- $chart := .chart -}}
{{- if not .root.Values.existingConfigMap -}}
{{- $file := include "forebay.toml" (dict "name" "" "settings" (include "forebay.config" .root | fromYaml)) -}}
{{- $chart = set $chart (include "forebay.settingsAnnotation" .root) (print (trim $file) "\n") -}}
{{- end -}}
{{- with merge (dict) $chart .own .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Volumes of the configuration and of certificates. Takes (dict "root" $). */}}
{{- define "forebay.configVolumes" -}}
- name: config
  {{- with .root.Values.existingConfigMap }}
  configMap:
    name: {{ . }}
  {{- else }}
  downwardAPI:
    items:
      - path: forebay.toml
        fieldRef: {fieldPath: "metadata.annotations['{{ include "forebay.settingsAnnotation" $.root }}']"}
  {{- end }}
{{- range $backend, $certificates := .root.Values.certificates }}
{{- if $certificates.secretName }}
- name: certificates-{{ $backend }}
  secret:
    secretName: {{ $certificates.secretName }}
    # Read by the group that the pod's fsGroup names.
    defaultMode: 0440
{{- end }}
{{- end }}
{{- end -}}

{{/*
Variables of a container. Takes (dict "root" $ "secret" name of the chart's own Secret "config" map "extraEnv" list).
*/}}
{{- define "forebay.env" -}}
- name: FOREBAY_CONFIG
  value: /etc/forebay/forebay.toml
{{- range $name, $value := include "forebay.environment" (dict "prefix" "FOREBAY_" "settings" .config) | fromYaml }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- range .root.Values.credentials.fromSecrets }}
- name: FOREBAY_{{ .setting | replace "." "__" | upper }}
  valueFrom:
    secretKeyRef:
      name: {{ .name }}
      key: {{ .key }}
{{- end }}
{{- with .extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "forebay.envFrom" -}}
{{- $sources := list -}}
{{- if .root.Values.credentials.values -}}
{{- $sources = append $sources (dict "secretRef" (dict "name" .secret)) -}}
{{- end -}}
{{- with .root.Values.credentials.existingSecret -}}
{{- $sources = append $sources (dict "secretRef" (dict "name" .)) -}}
{{- end -}}
{{- with concat $sources (default (list) .extraEnvFrom) }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What decides where a pod runs. Takes the settings of a service. */}}
{{- define "forebay.placement" -}}
{{- range $field := list "nodeSelector" "tolerations" "affinity" "priorityClassName" "runtimeClassName" "schedulerName" }}
{{- with get $.settings $field }}
{{ $field }}: {{- if kindIs "string" . }} {{ . }}{{ else }}{{ toYaml . | nindent 2 }}{{ end }}
{{- end }}
{{- end }}
{{- end -}}

{{/*
The pod of a service. Takes (dict "root" $ "component" name "settings" map "volumes" list "mounts" list "spread" bool).
*/}}
{{- define "forebay.pod" -}}
{{- $root := .root }}
{{- $settings := .settings }}
{{- $config := include "forebay.variables" (dict "root" $root "own" (include "forebay.ownConfig" . | fromYaml)) | fromYaml -}}
metadata:
  labels:
    {{- include "forebay.podLabels" . | nindent 4 }}
    {{- with $settings.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- /* Variables are read at the start only, so that a change of credentials starts pods anew. */}}
  {{- $chart := dict "checksum/credentials" (toJson $root.Values.credentials | sha256sum) }}
  {{- include "forebay.podAnnotations" (dict "root" $root "chart" $chart "own" $settings.podAnnotations) | trim | nindent 2 }}
spec:
  serviceAccountName: {{ include "forebay.serviceAccountName" $root }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with include "forebay.pullSecrets" $root | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with include "forebay.placement" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  terminationGracePeriodSeconds: {{ default (add (include "forebay.drainSeconds" $settings | int) 10) $settings.terminationGracePeriodSeconds }}
  securityContext:
    {{- toYaml $root.Values.podSecurityContext | nindent 4 }}
  {{- if and .spread $settings.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- $selector := include "forebay.selector" . | fromYaml }}
    {{- range $settings.topologySpreadConstraints }}
    {{- /*
    By the pod template too, so that an old revision's pods do not count for the new one's places. Without nodes that take none of these pods: those of a zone
    that is gone are tainted, and would hold the other zones to one pod more than its none.
    */}}
    {{- $chart := dict "labelSelector" (dict "matchLabels" $selector) "matchLabelKeys" (list "pod-template-hash") "nodeTaintsPolicy" "Honor" }}
    - {{ toYaml (merge (dict) . $chart) | indent 6 | trim }}
    {{- end }}
  {{- end }}
  containers:
    - name: forebay
      image: {{ include "forebay.image" (dict "root" $root "image" $settings.image) }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      securityContext:
        {{- toYaml $root.Values.securityContext | nindent 8 }}
      ports:
        - name: http
          containerPort: 8080
          protocol: TCP
      {{- with include "forebay.envFrom" (dict "root" $root "secret" (include "forebay.fullname" $root) "extraEnvFrom" $settings.extraEnvFrom) | trim }}
      {{- . | nindent 6 }}
      {{- end }}
      env:
        {{- include "forebay.env" (dict "root" $root "config" $config "extraEnv" $settings.extraEnv) | nindent 8 }}
      startupProbe:
        httpGet: {path: /livez, port: http}
        {{- toYaml $settings.probes.startup | nindent 8 }}
      livenessProbe:
        httpGet: {path: /livez, port: http}
        {{- toYaml $settings.probes.liveness | nindent 8 }}
      readinessProbe:
        httpGet: {path: /readyz, port: http}
        {{- toYaml $settings.probes.readiness | nindent 8 }}
      {{- if gt (int $settings.preStopSleepSeconds) 0 }}
      lifecycle:
        preStop:
          sleep:
            seconds: {{ $settings.preStopSleepSeconds }}
      {{- end }}
      resources:
        {{- include "forebay.resources" $settings.resources | nindent 8 }}
      volumeMounts:
        {{- include "forebay.configMounts" $root | nindent 8 }}
        {{- with concat .mounts $settings.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    {{- include "forebay.configVolumes" (dict "root" $root) | nindent 4 }}
    {{- with concat .volumes $settings.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
