{{- /* rclone's remote `store`: the object store itself, with the platform's own key. */ -}}
{{- define "store" -}}
- {name: HOME, value: /work}
- {name: RCLONE_CONFIG, value: /dev/null}
- {name: RCLONE_CONFIG_STORE_TYPE, value: s3}
- {name: RCLONE_CONFIG_STORE_PROVIDER, value: Other}
- {name: RCLONE_CONFIG_STORE_ACCESS_KEY_ID, valueFrom: {secretKeyRef: {name: object-store, key: access}}}
- {name: RCLONE_CONFIG_STORE_SECRET_ACCESS_KEY, valueFrom: {secretKeyRef: {name: object-store, key: secret}}}
- {name: RCLONE_CONFIG_STORE_ENDPOINT, valueFrom: {secretKeyRef: {name: object-store, key: endpoint}}}
- {name: RCLONE_CONFIG_STORE_REGION, valueFrom: {secretKeyRef: {name: object-store, key: region}}}
{{- end }}
