{{/*
Scrapes the pods, a whole PodMonitor. Takes `selector`, `labels` and `endpoint`, an item of `podMetricsEndpoints`. The
enclave serves metrics on the pod's loopback alone: the endpoint is that of a container that relays them, such as
kube-rbac-proxy with `--upstream=http://127.0.0.1:9464/`.
*/}}
{{- define "countersign.podMonitor" -}}
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata:
  name: {{ include "countersign.name" . }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "countersign.labels" . | nindent 4 }}
    {{- with .labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  selector:
    matchLabels:
      {{- toYaml .selector | nindent 6 }}
  podMetricsEndpoints:
    - path: /metrics
      {{- toYaml .endpoint | nindent 6 }}
{{- end -}}
