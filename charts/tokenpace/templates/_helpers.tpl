{{- define "tokenpace.fullname" -}}
{{- if contains "tokenpace" .Release.Name }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}{{ printf "%s-tokenpace" .Release.Name | trunc 63 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "tokenpace.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "tokenpace.fullname" .) }}
{{- end }}

{{- define "tokenpace.selectorLabels" -}}
app.kubernetes.io/name: tokenpace
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "tokenpace.labels" -}}
{{ include "tokenpace.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: tokenpace
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}
