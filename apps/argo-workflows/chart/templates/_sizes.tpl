{{- /* A container's resources, as JSON. */ -}}
{{- define "sizes" -}}
{"requests": {"cpu": "{{ .requests.cpu_millicores }}m", "memory": "{{ .requests.memory_mib }}Mi"}, "limits": {"memory": "{{ .limits.memory_mib }}Mi"}}
{{- end }}
