{{- /* What every step has: `include "pipelines.step" (list $ "argument" "argument"...)` inside a template. */ -}}
{{- define "pipelines.step" -}}
{{- $values := (first .).Values -}}
activeDeadlineSeconds: {{ $values.deadline.step_s }}
retryStrategy:
  limit: {{ $values.retry.limit }}
  # 2: settings or usage are wrong, and stay so.
  expression: 'lastRetry.exitCode != "2"'
  backoff:
    duration: "{{ $values.retry.pause_s }}"
    factor: {{ $values.retry.factor }}
    cap: "{{ $values.retry.pause_most_s }}"
container:
  image: {{ $values.image }}
  imagePullPolicy: Always  # the code of pipelines/ is in it: a node's copy may be of another checkout
  command: [python3, -m, pipelines.ingest]
  args: {{ rest . | toJson }}
  workingDir: /work
  env:
    - {name: S3_ENDPOINT, value: {{ $values.s3.endpoint | quote }}}
    - {name: RAW_BUCKET, value: {{ $values.platform }}-{{ $values.containers.raw }}}
    - {name: TEXT_BUCKET, value: {{ $values.platform }}-{{ $values.containers.text }}}
    - {name: EMBED_URL, value: {{ $values.embed | quote }}}
    {{- range $name, $value := $values.pdf }}
    - {name: PDF_{{ upper $name }}, value: {{ $value | quote }}}
    {{- end }}
    - {name: AWS_DEFAULT_REGION, value: {{ $values.s3.region }}}
    # boto3's newer checksums are not understood by every store.
    - {name: AWS_REQUEST_CHECKSUM_CALCULATION, value: when_required}
    - {name: AWS_RESPONSE_CHECKSUM_VALIDATION, value: when_required}
    - name: AWS_ACCESS_KEY_ID
      valueFrom: {secretKeyRef: {name: {{ $values.s3.secret }}, key: access}}
    - name: AWS_SECRET_ACCESS_KEY
      valueFrom: {secretKeyRef: {name: {{ $values.s3.secret }}, key: secret}}
    {{- if has (index . 1) (list "load" "ask") }}
    - {name: PGHOST, value: {{ $values.database.host }}}
    - {name: PGDATABASE, value: {{ $values.database.name }}}
    - {name: PGUSER, value: {{ $values.database.role }}}
    - name: PGPASSWORD
      valueFrom: {secretKeyRef: {name: {{ $values.database.secret }}, key: password}}
    {{- end }}
  resources:
    requests:
      cpu: {{ $values.step.resources.requests.cpu_millicores }}m
      memory: {{ $values.step.resources.requests.memory_mib }}Mi
    limits:
      memory: {{ $values.step.resources.limits.memory_mib }}Mi
  securityContext:
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities: {drop: [ALL]}
  volumeMounts:
    - {name: work, mountPath: /work}
    - {name: tmp, mountPath: /tmp}
{{- end }}
