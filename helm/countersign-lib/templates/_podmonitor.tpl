{{/*
Scrapes the enclaves of pods, a whole PodMonitor. Takes `selector` and `labels`. The NetworkPolicy has to let the scraper in
(`networkPolicy.metrics.from`).
*/}}
{{- define "countersign.podMonitor" -}}
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata:
  name: {{ include "countersign.name" . | quote }}
  namespace: {{ .root.Release.Namespace | quote }}
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
    - {port: enclave-metrics, path: /metrics}
{{- end -}}
