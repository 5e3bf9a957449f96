{{/* The folder of the embedder that a stage starts with, and that is registered. */}}
{{- define "serving.embedder" -}}
{{ .Values.models.embedder }}-{{ ternary .Values.precision.cpu .Values.precision.gpu .Values.allowCpu }}
{{- end }}
