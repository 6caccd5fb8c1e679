{{- define "dibs.selector" -}}
app.kubernetes.io/name: dibs
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "dibs.labels" -}}
{{ include "dibs.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | quote }}
{{- end }}
