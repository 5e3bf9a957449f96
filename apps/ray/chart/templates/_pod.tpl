{{- /* What head and workers have in common. */ -}}
{{- define "ray.annotations" -}}
checksum/config: {{ .Values | toJson | sha256sum }}
prometheus.io/scrape: "true"
prometheus.io/port: "8080"
prometheus.io/path: /metrics
{{- end }}

{{- define "ray.pod" -}}
enableServiceLinks: false
automountServiceAccountToken: false
terminationGracePeriodSeconds: 10
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  fsGroup: 1000
  seccompProfile: {type: RuntimeDefault}
volumes:
  # Sessions, logs, packages of jobs, objects spilled from memory.
  - {name: tmp, emptyDir: {}}
{{- end }}

{{- define "ray.container" -}}
image: {{ .Values.image }}
imagePullPolicy: Always  # the code of pipelines/ is in it: a node's copy may be of another checkout
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{- define "ray.env" -}}
- {name: HOME, value: /tmp}
- {name: RAY_USAGE_STATS_ENABLED, value: "0"}
# glibc makes an arena a thread otherwise: memory that nothing uses.
- {name: MALLOC_ARENA_MAX, value: "2"}
- {name: GPU_MEM_LIMIT_MIB, value: {{ .Values.workers.gpu_memory_mib | quote }}}
- {name: MLFLOW_TRACKING_URI, value: {{ .Values.mlflow.uri | quote }}}
- {name: MLFLOW_TRACKING_USERNAME, value: {{ .Values.mlflow.user }}}
- name: MLFLOW_TRACKING_PASSWORD
  valueFrom: {secretKeyRef: {name: mlflow, key: password}}
- {name: CHECKPOINTS_BUCKET, value: {{ .Values.platform }}-{{ .Values.site }}-checkpoints}
- {name: AWS_ENDPOINT_URL_S3, value: {{ .Values.checkpoints.endpoint | quote }}}
- {name: AWS_DEFAULT_REGION, value: {{ .Values.checkpoints.region }}}
- {name: AWS_REQUEST_CHECKSUM_CALCULATION, value: when_required}
- {name: AWS_RESPONSE_CHECKSUM_VALIDATION, value: when_required}
- name: AWS_ACCESS_KEY_ID
  valueFrom: {secretKeyRef: {name: s3-ray, key: access}}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: s3-ray, key: secret}}
{{- end }}

{{- /* Argument: a group of the values, with `gpu_shares` where it takes a share. Never above its `most`. */ -}}
{{- define "ray.resources" -}}
{{- $most := .most | default dict -}}
{{- $memory := .resources.limits.memory_mib -}}
{{- $most_memory := $most.memory_mib | default $memory -}}
requests:
  cpu: {{ min .resources.requests.cpu_millicores ($most.cpu_millicores | default .resources.requests.cpu_millicores) }}m
  memory: {{ min .resources.requests.memory_mib $most_memory }}Mi
  {{- with .gpu_shares }}
  nvidia.com/gpu.shared: {{ . }}
  {{- end }}
limits:
  memory: {{ min $memory $most_memory }}Mi
  {{- with .gpu_shares }}
  nvidia.com/gpu.shared: {{ . }}
  {{- end }}
{{- end }}

{{- define "ray.readiness" -}}
httpGet: {path: /api/healthz, port: 52365}
periodSeconds: 2
timeoutSeconds: 5
failureThreshold: 5
{{- end }}
