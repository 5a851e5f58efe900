{{/* Names and labels that more than one template needs. */}}

{{- define "resumable.controller" -}}
{{ printf "%s-controller" (trunc 50 .Release.Name) }}
{{- end }}

{{- define "resumable.state" -}}
{{ printf "%s-state" (trunc 50 .Release.Name) }}
{{- end }}

{{/* Of objects without a namespace: two releases in two namespaces may have the same name. */}}
{{- define "resumable.clusterwide" -}}
{{ printf "%s:%s" .Release.Namespace .Release.Name }}
{{- end }}

{{- define "resumable.image" -}}
{{ printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}

{{/* The full name of the service, because workers live in other namespaces. */}}
{{- define "resumable.stateURL" -}}
{{ printf "http://%s.%s.svc:8080" (include "resumable.state" .) .Release.Namespace }}
{{- end }}

{{- define "resumable.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "resumable.labels" -}}
{{ include "resumable.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end }}

{{/* What the Pod Security level `restricted` wants, and a read-only root beside it. */}}
{{- define "resumable.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "resumable.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}
