{{- define "ostler.labels" -}}
app.kubernetes.io/name: ostler
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* What pods are found by; it never changes. Call with (dict "root" $ "component" "agent"). */}}
{{- define "ostler.selector" -}}
app.kubernetes.io/name: ostler
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* An image's full name. Call with (dict "root" $ "image" .Values.image). */}}
{{- define "ostler.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "ostler.agentUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:ostler-agent
{{- end }}

{{- define "ostler.controllerUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:ostler-controller
{{- end }}
