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

{{/* Their volumes. Takes (dict "root" $ "configMap" name). */}}
{{- define "forebay.configVolumes" -}}
- name: config
  configMap:
    name: {{ .configMap }}
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
  annotations:
    {{- /* Pods read both at their start only, so a change of either starts them anew. */}}
    checksum/config: {{ include "forebay.config" $root | sha256sum }}
    checksum/credentials: {{ toJson $root.Values.credentials | sha256sum }}
    {{- with merge (dict) $settings.podAnnotations $root.Values.commonAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
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
        {{- toYaml $settings.resources | nindent 8 }}
      volumeMounts:
        {{- include "forebay.configMounts" $root | nindent 8 }}
        {{- with concat .mounts $settings.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    {{- include "forebay.configVolumes" (dict "root" $root "configMap" (include "forebay.configMapName" (dict "root" $root "own" (include "forebay.fullname" $root)))) | nindent 4 }}
    {{- with concat .volumes $settings.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
