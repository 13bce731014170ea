{{/*
A dashboard for Grafana, a whole ConfigMap, which answers: can we sign, how fast, who is refused, why. Takes `labels`, by
which Grafana's sidecar finds it.
*/}}
{{- define "countersign.dashboard" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "countersign.name" . }}-dashboard
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "countersign.labels" . | nindent 4 }}
    {{- with .labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
data:
  countersign.json: |
    {{- include "countersign.dashboardJson" . | nindent 4 }}
{{- end -}}

{{- define "countersign.dashboardJson" -}}
{
  "uid": "countersign",
  "title": "countersign",
  "tags": ["countersign"],
  "timezone": "utc",
  "editable": true,
  "schemaVersion": 39,
  "version": 1,
  "refresh": "30s",
  "time": {"from": "now-3h", "to": "now"},
  "templating": {
    "list": [
      {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
      {"name": "namespace", "label": "Namespace", "type": "query", "datasource": {"type": "prometheus", "uid": "${datasource}"}, "query": {"query": "label_values(countersign_ready, namespace)", "refId": "namespace"}, "refresh": 2, "multi": true, "includeAll": true, "current": {"text": "All", "value": "$__all"}},
      {"name": "pod", "label": "Pod", "type": "query", "datasource": {"type": "prometheus", "uid": "${datasource}"}, "query": {"query": "label_values(countersign_ready{namespace=~\"$namespace\"}, pod)", "refId": "pod"}, "refresh": 2, "multi": true, "includeAll": true, "current": {"text": "All", "value": "$__all"}}
    ]
  },
  "annotations": {"list": []},
  "links": [],
  "panels": [
    {
      "id": 1,
      "type": "row",
      "title": "Can we sign?",
      "collapsed": false,
      "gridPos": {"x": 0, "y": 0, "w": 24, "h": 1},
      "panels": []
    },
    {
      "id": 2,
      "type": "stat",
      "title": "Ready",
      "description": "Store, KMS and audit log answer: the fewest over all pods.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 0, "y": 1, "w": 4, "h": 4},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "min(countersign_ready{namespace=~\"$namespace\", pod=~\"$pod\"})", "legendFormat": "__auto", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "short", "thresholds": {"mode": "absolute", "steps": [{"color": "red", "value": null}, {"color": "green", "value": 1}]}}, "overrides": []},
      "options": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background"}
    },
    {
      "id": 3,
      "type": "stat",
      "title": "Audit log writable",
      "description": "0: nothing is signed.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 4, "y": 1, "w": 4, "h": 4},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "min(countersign_audit_writable{namespace=~\"$namespace\", pod=~\"$pod\"})", "legendFormat": "__auto", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "short", "thresholds": {"mode": "absolute", "steps": [{"color": "red", "value": null}, {"color": "green", "value": 1}]}}, "overrides": []},
      "options": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background"}
    },
    {
      "id": 4,
      "type": "stat",
      "title": "Policies refused",
      "description": "1: older policies are in force.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 8, "y": 1, "w": 4, "h": 4},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "max(countersign_policies_stale{namespace=~\"$namespace\", pod=~\"$pod\"})", "legendFormat": "__auto", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "short", "thresholds": {"mode": "absolute", "steps": [{"color": "green", "value": null}, {"color": "red", "value": 1}]}}, "overrides": []},
      "options": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background"}
    },
    {
      "id": 5,
      "type": "stat",
      "title": "KEK overdue",
      "description": "1: its newest version is older than 90 days.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 12, "y": 1, "w": 4, "h": 4},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "max(countersign_kek_overdue{namespace=~\"$namespace\", pod=~\"$pod\"})", "legendFormat": "__auto", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "short", "thresholds": {"mode": "absolute", "steps": [{"color": "green", "value": null}, {"color": "red", "value": 1}]}}, "overrides": []},
      "options": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background"}
    },
    {
      "id": 6,
      "type": "stat",
      "title": "Age of the KEK",
      "description": "Of its newest version.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 16, "y": 1, "w": 4, "h": 4},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "time() - min(countersign_kek_created_timestamp_seconds{namespace=~\"$namespace\", pod=~\"$pod\"} > 0)", "legendFormat": "__auto", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "s", "thresholds": {"mode": "absolute", "steps": [{"color": "blue", "value": null}]}}, "overrides": []},
      "options": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background"}
    },
    {
      "id": 7,
      "type": "stat",
      "title": "Pods without memfd_secret",
      "description": "Root on their nodes reads open shares.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 20, "y": 1, "w": 4, "h": 4},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "count(countersign_secret_memory_info{namespace=~\"$namespace\", pod=~\"$pod\", level!=\"memfd_secret\"}) or vector(0)", "legendFormat": "__auto", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "short", "thresholds": {"mode": "absolute", "steps": [{"color": "green", "value": null}, {"color": "red", "value": 1}]}}, "overrides": []},
      "options": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background"}
    },
    {
      "id": 8,
      "type": "row",
      "title": "How fast?",
      "collapsed": false,
      "gridPos": {"x": 0, "y": 5, "w": 24, "h": 1},
      "panels": []
    },
    {
      "id": 9,
      "type": "timeseries",
      "title": "Signatures",
      "description": "Calls that were answered with OK, by method.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 0, "y": 6, "w": 8, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "sum by (method) (rate(countersign_requests_total{namespace=~\"$namespace\", pod=~\"$pod\", code=\"OK\"}[$__rate_interval]))", "legendFormat": "__auto", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "reqps"}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    },
    {
      "id": 10,
      "type": "timeseries",
      "title": "Time of a Sign",
      "description": "From the head of a request to the end of its answer.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 8, "y": 6, "w": 8, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "histogram_quantile(0.5, sum by (le) (rate(countersign_request_duration_seconds_bucket{namespace=~\"$namespace\", pod=~\"$pod\", method=\"Sign\"}[$__rate_interval])))", "legendFormat": "p50", "refId": "A"}, {"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "histogram_quantile(0.9, sum by (le) (rate(countersign_request_duration_seconds_bucket{namespace=~\"$namespace\", pod=~\"$pod\", method=\"Sign\"}[$__rate_interval])))", "legendFormat": "p90", "refId": "B"}, {"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "histogram_quantile(0.99, sum by (le) (rate(countersign_request_duration_seconds_bucket{namespace=~\"$namespace\", pod=~\"$pod\", method=\"Sign\"}[$__rate_interval])))", "legendFormat": "p99", "refId": "C"}],
      "fieldConfig": {"defaults": {"unit": "s"}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    },
    {
      "id": 11,
      "type": "timeseries",
      "title": "Time of a flush of the audit log",
      "description": "The disk's part.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 16, "y": 6, "w": 8, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "histogram_quantile(0.99, sum by (le) (rate(countersign_audit_flush_seconds_bucket{namespace=~\"$namespace\", pod=~\"$pod\"}[$__rate_interval])))", "legendFormat": "p99", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "s"}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    },
    {
      "id": 12,
      "type": "row",
      "title": "Who is refused, and why?",
      "collapsed": false,
      "gridPos": {"x": 0, "y": 14, "w": 24, "h": 1},
      "panels": []
    },
    {
      "id": 13,
      "type": "timeseries",
      "title": "Answers other than OK",
      "description": "PERMISSION_DENIED: policy. UNAVAILABLE: KMS or store. RESOURCE_EXHAUSTED: a limit. UNAUTHENTICATED: nobody's uid. The log has the reason of each.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 0, "y": 15, "w": 8, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "sum by (code) (rate(countersign_requests_total{namespace=~\"$namespace\", pod=~\"$pod\", code!=\"OK\"}[$__rate_interval]))", "legendFormat": "__auto", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "reqps"}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    },
    {
      "id": 14,
      "type": "timeseries",
      "title": "Rates exceeded",
      "description": "By whose rate it was.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 8, "y": 15, "w": 8, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "sum by (limit) (rate(countersign_rate_refusals_total{namespace=~\"$namespace\", pod=~\"$pod\"}[$__rate_interval]))", "legendFormat": "__auto", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "reqps"}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    },
    {
      "id": 15,
      "type": "timeseries",
      "title": "Policies",
      "description": "In force, and reloads in the last hour by what came of them.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 16, "y": 15, "w": 8, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "max by (pod) (countersign_policies{namespace=~\"$namespace\", pod=~\"$pod\"})", "legendFormat": "__auto", "refId": "A"}, {"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "sum by (outcome) (increase(countersign_policy_reloads_total{namespace=~\"$namespace\", pod=~\"$pod\"}[1h]))", "legendFormat": "__auto", "refId": "B"}],
      "fieldConfig": {"defaults": {"unit": "short"}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    },
    {
      "id": 16,
      "type": "row",
      "title": "Room",
      "collapsed": false,
      "gridPos": {"x": 0, "y": 23, "w": 24, "h": 1},
      "panels": []
    },
    {
      "id": 17,
      "type": "timeseries",
      "title": "Free slots of secret memory",
      "description": "One for each call in flight and each stream.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 0, "y": 24, "w": 6, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "min by (pod) (countersign_secret_slots_free{namespace=~\"$namespace\", pod=~\"$pod\"})", "legendFormat": "__auto", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "short"}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    },
    {
      "id": 18,
      "type": "timeseries",
      "title": "Connections",
      "description": "Open, and refused per second.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 6, "y": 24, "w": 6, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "sum by (pod) (countersign_connections{namespace=~\"$namespace\", pod=~\"$pod\"})", "legendFormat": "__auto", "refId": "A"}, {"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "sum(rate(countersign_connections_refused_total{namespace=~\"$namespace\", pod=~\"$pod\"}[$__rate_interval]))", "legendFormat": "refused", "refId": "B"}],
      "fieldConfig": {"defaults": {"unit": "short"}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    },
    {
      "id": 19,
      "type": "timeseries",
      "title": "Sections leaked",
      "description": "Always 0, or a bug.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 12, "y": 24, "w": 6, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "max by (pod) (countersign_secret_sections_leaked{namespace=~\"$namespace\", pod=~\"$pod\"})", "legendFormat": "__auto", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "short"}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    },
    {
      "id": 20,
      "type": "timeseries",
      "title": "Versions of the KEK",
      "description": "The newest that each pod knows; 0 where that is not known.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 18, "y": 24, "w": 6, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "max by (pod) (countersign_kek_version{namespace=~\"$namespace\", pod=~\"$pod\"})", "legendFormat": "__auto", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "short"}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    },
    {
      "id": 21,
      "type": "row",
      "title": "Audit log",
      "collapsed": false,
      "gridPos": {"x": 0, "y": 32, "w": 24, "h": 1},
      "panels": []
    },
    {
      "id": 22,
      "type": "timeseries",
      "title": "Records",
      "description": "Durable, per second.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 0, "y": 33, "w": 6, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "sum by (pod) (rate(countersign_audit_records_total{namespace=~\"$namespace\", pod=~\"$pod\"}[$__rate_interval]))", "legendFormat": "__auto", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "short"}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    },
    {
      "id": 23,
      "type": "timeseries",
      "title": "Waiting",
      "description": "For the disk; for the store to count them; for the table in Postgres.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 6, "y": 33, "w": 6, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "max(countersign_audit_queue{namespace=~\"$namespace\", pod=~\"$pod\"})", "legendFormat": "disk", "refId": "A"}, {"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "max(countersign_audit_uncounted{namespace=~\"$namespace\", pod=~\"$pod\"})", "legendFormat": "store", "refId": "B"}, {"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "max(countersign_audit_uncopied{namespace=~\"$namespace\", pod=~\"$pod\"})", "legendFormat": "Postgres", "refId": "C"}],
      "fieldConfig": {"defaults": {"unit": "short"}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    },
    {
      "id": 24,
      "type": "timeseries",
      "title": "Since the last checkpoint",
      "description": "Signed heads: shipped, and delivered to the webhook.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 12, "y": 33, "w": 6, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "time() - min by (pod) (countersign_audit_checkpoint_timestamp_seconds{namespace=~\"$namespace\", pod=~\"$pod\"} > 0)", "legendFormat": "__auto", "refId": "A"}, {"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "time() - min by (pod) (countersign_audit_checkpoint_delivered_timestamp_seconds{namespace=~\"$namespace\", pod=~\"$pod\"} > 0)", "legendFormat": "__auto", "refId": "B"}],
      "fieldConfig": {"defaults": {"unit": "s"}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    },
    {
      "id": 25,
      "type": "timeseries",
      "title": "TLS listener",
      "description": "Seconds until its certificate expires, and failed handshakes per second.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 18, "y": 33, "w": 6, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "min by (pod) (countersign_tls_certificate_not_after_seconds{namespace=~\"$namespace\", pod=~\"$pod\"}) - time()", "legendFormat": "__auto", "refId": "A"}, {"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "sum(rate(countersign_tls_handshakes_failed_total{namespace=~\"$namespace\", pod=~\"$pod\"}[$__rate_interval]))", "legendFormat": "__auto", "refId": "B"}, {"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "max(countersign_tls_reload_failed{namespace=~\"$namespace\", pod=~\"$pod\"})", "legendFormat": "__auto", "refId": "C"}],
      "fieldConfig": {"defaults": {"unit": "short"}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    }
  ]
}
{{- end -}}
