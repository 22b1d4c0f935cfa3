{{/* Names, labels and the heads of objects. */}}

{{- define "forebay.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end -}}

{{- define "forebay.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{ ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "forebay.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "forebay.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end -}}
{{- end -}}

{{/* Labels that never change: what selectors take. Takes (dict "root" $ "component" name). */}}
{{- define "forebay.selector" -}}
app.kubernetes.io/name: {{ include "forebay.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{- define "forebay.labels" -}}
{{ include "forebay.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: forebay
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels of pods: none that another chart version changes, which would start every pod anew. */}}
{{- define "forebay.podLabels" -}}
{{ include "forebay.selector" . }}
app.kubernetes.io/part-of: forebay
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The name of an object: that of the release for what is all of Forebay, and with the service's behind it for what is one. Takes (dict "root" $ "component" name). */}}
{{- define "forebay.objectName" -}}
{{ include "forebay.fullname" .root }}{{ if not (has .component (list nil "" "evaluation")) }}-{{ .component }}{{ end }}
{{- end -}}

{{/* Name, namespace, labels and annotations of an object. Takes (dict "root" $ "component" name "suffix" "" "labels" (dict) "annotations" (dict)). */}}
{{- define "forebay.metadata" -}}
name: {{ include "forebay.objectName" . }}{{ .suffix }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "forebay.labels" . | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (default (dict) .annotations) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The image of a service. Takes (dict "root" $ "image" map). */}}
{{- define "forebay.image" -}}
{{- $registry := default .root.Values.image.registry .root.Values.global.imageRegistry -}}
{{- $name := ternary .image.repository (printf "%s/%s" (trimSuffix "/" $registry) .image.repository) (empty $registry) -}}
{{- if .image.digest -}}
{{ printf "%s@%s" $name .image.digest }}
{{- else -}}
{{ printf "%s:%s" $name (default .root.Chart.AppVersion (default .root.Values.image.tag .image.tag)) }}
{{- end -}}
{{- end -}}

{{/* imagePullSecrets of a pod, or nothing. */}}
{{- define "forebay.pullSecrets" -}}
{{- with concat (default (list) .Values.global.imagePullSecrets) .Values.image.pullSecrets | uniq }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}
