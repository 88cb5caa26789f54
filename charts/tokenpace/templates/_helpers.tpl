{{- define "tokenpace.fullname" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride }}
{{- else if contains "tokenpace" .Release.Name }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}{{ printf "%s-tokenpace" .Release.Name | trunc 63 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* Of objects outside the release's namespace: two releases of one name, in two namespaces, have one each. */}}
{{- define "tokenpace.clusterName" -}}
{{- printf "%s-%s" (include "tokenpace.fullname" .) .Release.Namespace }}
{{- end }}

{{- define "tokenpace.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "tokenpace.fullname" .) }}
{{- end }}

{{- define "tokenpace.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- define "tokenpace.prometheusUrl" -}}
{{- if .Values.prometheus.bundled.enabled }}{{ printf "http://%s-prometheus.%s:9090" (include "tokenpace.fullname" .) .Release.Namespace }}
{{- else }}{{ .Values.prometheus.url }}{{ end }}
{{- end }}

{{- define "tokenpace.selectorLabels" -}}
app.kubernetes.io/name: tokenpace
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "tokenpace.labels" -}}
{{ include "tokenpace.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: tokenpace
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What a pod and its container may do: as little as there is. Its user is the image's, a number; OpenShift gives another. */}}
{{- define "tokenpace.podSecurityContext" -}}
runAsNonRoot: true
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "tokenpace.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}
