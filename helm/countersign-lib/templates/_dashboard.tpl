{{/*
A dashboard for Grafana, a whole ConfigMap, which answers: can we sign, how fast, who is refused, why. Takes `labels`, by
which Grafana's sidecar finds it.
*/}}
{{- define "countersign.dashboard" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "countersign.name" . }}-dashboard
  namespace: {{ .root.Release.Namespace | quote }}
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
{{- $faults := include "countersign.faults" . -}}
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
      "title": "Pods that can sign",
      "description": "The part whose store, KMS and audit log answer.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 0, "y": 1, "w": 3, "h": 4},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "sum(countersign_ready{namespace=~\"$namespace\", pod=~\"$pod\"}) / count(countersign_ready{namespace=~\"$namespace\", pod=~\"$pod\"})", "legendFormat": "__auto", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "percentunit", "thresholds": {"mode": "absolute", "steps": [{"color": "red", "value": null}, {"color": "orange", "value": 0.01}, {"color": "green", "value": 1}]}, "noValue": "nobody measures"}, "overrides": []},
      "options": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background"}
    },
    {
      "id": 3,
      "type": "stat",
      "title": "KMS",
      "description": "Of the pod that has it worst. Away: sealed, unreachable, or it denies the login.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 3, "y": 1, "w": 3, "h": 4},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "min(countersign_backend_up{namespace=~\"$namespace\", pod=~\"$pod\", backend=\"kms\"})", "legendFormat": "__auto", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "short", "thresholds": {"mode": "absolute", "steps": [{"color": "red", "value": null}, {"color": "green", "value": 1}]}, "mappings": [{"type": "value", "options": {"0": {"text": "away"}, "1": {"text": "answers"}}}], "noValue": "nobody measures"}, "overrides": []},
      "options": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background"}
    },
    {
      "id": 4,
      "type": "stat",
      "title": "Store",
      "description": "Of the pod that has it worst. Away: unreachable, or it denies the login.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 6, "y": 1, "w": 3, "h": 4},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "min(countersign_backend_up{namespace=~\"$namespace\", pod=~\"$pod\", backend=\"store\"})", "legendFormat": "__auto", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "short", "thresholds": {"mode": "absolute", "steps": [{"color": "red", "value": null}, {"color": "green", "value": 1}]}, "mappings": [{"type": "value", "options": {"0": {"text": "away"}, "1": {"text": "answers"}}}], "noValue": "nobody measures"}, "overrides": []},
      "options": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background"}
    },
    {
      "id": 5,
      "type": "stat",
      "title": "Audit log writable",
      "description": "Of the pod that has it worst. No: nothing is signed.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 9, "y": 1, "w": 3, "h": 4},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "min(countersign_audit_writable{namespace=~\"$namespace\", pod=~\"$pod\"})", "legendFormat": "__auto", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "short", "thresholds": {"mode": "absolute", "steps": [{"color": "red", "value": null}, {"color": "green", "value": 1}]}, "mappings": [{"type": "value", "options": {"0": {"text": "no"}, "1": {"text": "yes"}}}], "noValue": "nobody measures"}, "overrides": []},
      "options": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background"}
    },
    {
      "id": 6,
      "type": "stat",
      "title": "Login at the KMS",
      "description": "How long the login that ends first lasts; it is renewed long before.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 12, "y": 1, "w": 3, "h": 4},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "min(countersign_kms_login_expiry_timestamp_seconds{namespace=~\"$namespace\", pod=~\"$pod\"}) - time()", "legendFormat": "__auto", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "s", "thresholds": {"mode": "absolute", "steps": [{"color": "red", "value": null}, {"color": "green", "value": 120}]}, "mappings": [{"type": "range", "options": {"from": null, "to": 0, "result": {"text": "none"}}}], "noValue": "no Vault"}, "overrides": []},
      "options": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background"}
    },
    {
      "id": 7,
      "type": "stat",
      "title": "Policies refused",
      "description": "Yes: a set with problems is there, and older policies are in force.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 15, "y": 1, "w": 3, "h": 4},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "max(countersign_policies_stale{namespace=~\"$namespace\", pod=~\"$pod\"})", "legendFormat": "__auto", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "short", "thresholds": {"mode": "absolute", "steps": [{"color": "green", "value": null}, {"color": "red", "value": 1}]}, "mappings": [{"type": "value", "options": {"0": {"text": "no"}, "1": {"text": "yes"}}}], "noValue": "nobody measures"}, "overrides": []},
      "options": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background"}
    },
    {
      "id": 8,
      "type": "stat",
      "title": "Age of the KEK",
      "description": "Of its newest version; red past 90 days.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 18, "y": 1, "w": 3, "h": 4},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "time() - min(countersign_kek_created_timestamp_seconds{namespace=~\"$namespace\", pod=~\"$pod\"} > 0)", "legendFormat": "__auto", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "s", "thresholds": {"mode": "absolute", "steps": [{"color": "green", "value": null}, {"color": "red", "value": 7776000}]}, "noValue": "unknown"}, "overrides": []},
      "options": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background"}
    },
    {
      "id": 9,
      "type": "stat",
      "title": "Pods without memfd_secret",
      "description": "Root on their nodes reads open shares.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 21, "y": 1, "w": 3, "h": 4},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "count(countersign_secret_memory_info{namespace=~\"$namespace\", pod=~\"$pod\", level!=\"memfd_secret\"}) or vector(0)", "legendFormat": "__auto", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "short", "thresholds": {"mode": "absolute", "steps": [{"color": "green", "value": null}, {"color": "red", "value": 1}]}}, "overrides": []},
      "options": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background"}
    },
    {
      "id": 10,
      "type": "row",
      "title": "How fast?",
      "collapsed": false,
      "gridPos": {"x": 0, "y": 5, "w": 24, "h": 1},
      "panels": []
    },
    {
      "id": 11,
      "type": "timeseries",
      "title": "Signatures",
      "description": "By who asked, and how.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 0, "y": 6, "w": 6, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "sum by (caller, action) (rate(countersign_outcomes_total{namespace=~\"$namespace\", pod=~\"$pod\", outcome=\"signed\"}[$__rate_interval]))", "legendFormat": "{{ "{{" }}caller}} {{ "{{" }}action}}", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "reqps", "min": 0}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    },
    {
      "id": 12,
      "type": "timeseries",
      "title": "Time of a Sign",
      "description": "From the head of a request to the end of its answer.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 6, "y": 6, "w": 6, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "histogram_quantile(0.5, sum by (le) (rate(countersign_request_duration_seconds_bucket{namespace=~\"$namespace\", pod=~\"$pod\", method=\"Sign\"}[$__rate_interval])))", "legendFormat": "p50", "refId": "A"}, {"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "histogram_quantile(0.9, sum by (le) (rate(countersign_request_duration_seconds_bucket{namespace=~\"$namespace\", pod=~\"$pod\", method=\"Sign\"}[$__rate_interval])))", "legendFormat": "p90", "refId": "B"}, {"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "histogram_quantile(0.99, sum by (le) (rate(countersign_request_duration_seconds_bucket{namespace=~\"$namespace\", pod=~\"$pod\", method=\"Sign\"}[$__rate_interval])))", "legendFormat": "p99", "refId": "C"}],
      "fieldConfig": {"defaults": {"unit": "s", "min": 0}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    },
    {
      "id": 13,
      "type": "timeseries",
      "title": "Where the time goes",
      "description": "What each stage takes on average: policy, store, KMS, the section, the audit log.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 12, "y": 6, "w": 6, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "sum by (stage) (rate(countersign_stage_duration_seconds_sum{namespace=~\"$namespace\", pod=~\"$pod\"}[$__rate_interval])) / sum by (stage) (rate(countersign_stage_duration_seconds_count{namespace=~\"$namespace\", pod=~\"$pod\"}[$__rate_interval]))", "legendFormat": "{{ "{{" }}stage}}", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "s", "min": 0, "custom": {"stacking": {"mode": "normal"}, "fillOpacity": 40}}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    },
    {
      "id": 14,
      "type": "timeseries",
      "title": "The slowest hundredth, by stage",
      "description": "p99 of each.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 18, "y": 6, "w": 6, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "histogram_quantile(0.99, sum by (stage, le) (rate(countersign_stage_duration_seconds_bucket{namespace=~\"$namespace\", pod=~\"$pod\"}[$__rate_interval])))", "legendFormat": "{{ "{{" }}stage}}", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "s", "min": 0}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    },
    {
      "id": 15,
      "type": "row",
      "title": "Who is refused, and why?",
      "collapsed": false,
      "gridPos": {"x": 0, "y": 14, "w": 24, "h": 1},
      "panels": []
    },
    {
      "id": 16,
      "type": "timeseries",
      "title": "Refused",
      "description": "By policy, and before it: by caller and reason. The caller is ? where it was not known. Single ones are in the table.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 0, "y": 15, "w": 8, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "label_replace(sum by (caller, reason) (rate(countersign_outcomes_total{namespace=~\"$namespace\", pod=~\"$pod\", outcome=\"denied\"}[$__rate_interval])), \"caller\", \"?\", \"caller\", \"\")", "legendFormat": "{{ "{{" }}caller}} {{ "{{" }}reason}}", "refId": "A"}, {"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "label_replace(sum by (caller, reason) (rate(countersign_refusals_total{namespace=~\"$namespace\", pod=~\"$pod\", reason!~\"{{ $faults }}\"}[$__rate_interval])), \"caller\", \"?\", \"caller\", \"\")", "legendFormat": "{{ "{{" }}caller}} {{ "{{" }}reason}}", "refId": "B"}],
      "fieldConfig": {"defaults": {"unit": "reqps", "min": 0}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    },
    {
      "id": 17,
      "type": "timeseries",
      "title": "Failed",
      "description": "Whatever the caller asked for: KMS_ and STORE_ are their own, ENVELOPE_ is a record that does not open.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 8, "y": 15, "w": 8, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "sum by (reason) (rate(countersign_outcomes_total{namespace=~\"$namespace\", pod=~\"$pod\", outcome=\"failed\"}[$__rate_interval]) or rate(countersign_refusals_total{namespace=~\"$namespace\", pod=~\"$pod\", reason=~\"{{ $faults }}\"}[$__rate_interval])) or label_replace(vector(0), \"reason\", \"none\", \"\", \"\")", "legendFormat": "{{ "{{" }}reason}}", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "reqps", "min": 0}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    },
    {
      "id": 18,
      "type": "table",
      "title": "The last hour",
      "description": "Whatever was not signed or done, the most frequent first. Without an action: refused before policy.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 16, "y": 15, "w": 8, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "sort_desc(sum by (caller, action, outcome, reason) ((countersign_outcomes_total{namespace=~\"$namespace\", pod=~\"$pod\", outcome!~\"signed|done\"} unless countersign_outcomes_total{namespace=~\"$namespace\", pod=~\"$pod\", outcome!~\"signed|done\"} offset 1h or increase(countersign_outcomes_total{namespace=~\"$namespace\", pod=~\"$pod\", outcome!~\"signed|done\"}[1h])) or (countersign_refusals_total{namespace=~\"$namespace\", pod=~\"$pod\"} unless countersign_refusals_total{namespace=~\"$namespace\", pod=~\"$pod\"} offset 1h or increase(countersign_refusals_total{namespace=~\"$namespace\", pod=~\"$pod\"}[1h]))) >= 0.5)", "legendFormat": "__auto", "refId": "A", "instant": true, "format": "table"}],
      "fieldConfig": {"defaults": {"unit": "short", "decimals": 0}, "overrides": []},
      "options": {"showHeader": true},
      "transformations": [{"id": "organize", "options": {"excludeByName": {"Time": true}, "indexByName": {"caller": 0, "reason": 1, "action": 2, "outcome": 3, "Value": 4}, "renameByName": {"Value": "requests"}}}]
    },
    {
      "id": 19,
      "type": "timeseries",
      "title": "Answers other than OK",
      "description": "By code of gRPC.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 0, "y": 23, "w": 8, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "sum by (code) (rate(countersign_requests_total{namespace=~\"$namespace\", pod=~\"$pod\", code!=\"OK\"}[$__rate_interval])) or label_replace(vector(0), \"code\", \"none\", \"\", \"\")", "legendFormat": "{{ "{{" }}code}}", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "reqps", "min": 0}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    },
    {
      "id": 20,
      "type": "timeseries",
      "title": "Rates exceeded",
      "description": "By whose rate it was.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 8, "y": 23, "w": 8, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "sum by (limit) (rate(countersign_rate_refusals_total{namespace=~\"$namespace\", pod=~\"$pod\"}[$__rate_interval]))", "legendFormat": "{{ "{{" }}limit}}", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "reqps", "min": 0}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    },
    {
      "id": 21,
      "type": "timeseries",
      "title": "Policies",
      "description": "In force, and reloads in the last hour by what came of them.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 16, "y": 23, "w": 8, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "max by (pod) (countersign_policies{namespace=~\"$namespace\", pod=~\"$pod\"})", "legendFormat": "in force, {{ "{{" }}pod}}", "refId": "A"}, {"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "sum by (outcome) (increase(countersign_policy_reloads_total{namespace=~\"$namespace\", pod=~\"$pod\"}[1h]))", "legendFormat": "{{ "{{" }}outcome}}", "refId": "B"}],
      "fieldConfig": {"defaults": {"unit": "short", "min": 0}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    },
    {
      "id": 22,
      "type": "row",
      "title": "Room",
      "collapsed": false,
      "gridPos": {"x": 0, "y": 31, "w": 24, "h": 1},
      "panels": []
    },
    {
      "id": 23,
      "type": "timeseries",
      "title": "Free slots of secret memory",
      "description": "The part of all. Below the line calls are refused soon.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 0, "y": 32, "w": 5, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "min by (pod) (countersign_secret_slots_free{namespace=~\"$namespace\", pod=~\"$pod\"} / countersign_secret_slots{namespace=~\"$namespace\", pod=~\"$pod\"})", "legendFormat": "{{ "{{" }}pod}}", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "percentunit", "min": 0, "max": 1, "thresholds": {"mode": "absolute", "steps": [{"color": "red", "value": null}, {"color": "green", "value": 0.1}]}, "custom": {"thresholdsStyle": {"mode": "line"}}}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    },
    {
      "id": 24,
      "type": "timeseries",
      "title": "Streams",
      "description": "That hold a share open.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 5, "y": 32, "w": 5, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "sum by (pod) (countersign_streams{namespace=~\"$namespace\", pod=~\"$pod\"})", "legendFormat": "{{ "{{" }}pod}}", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "short", "min": 0}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    },
    {
      "id": 25,
      "type": "timeseries",
      "title": "Connections",
      "description": "Open, and refused per second.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 10, "y": 32, "w": 5, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "sum by (pod) (countersign_connections{namespace=~\"$namespace\", pod=~\"$pod\"})", "legendFormat": "{{ "{{" }}pod}}", "refId": "A"}, {"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "sum(rate(countersign_connections_refused_total{namespace=~\"$namespace\", pod=~\"$pod\"}[$__rate_interval]))", "legendFormat": "refused", "refId": "B"}],
      "fieldConfig": {"defaults": {"unit": "short", "min": 0}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    },
    {
      "id": 26,
      "type": "timeseries",
      "title": "Versions",
      "description": "Pods by what they run; and the newest version of the KEK that each knows, 0 where that is not known.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 15, "y": 32, "w": 5, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "count by (version) (countersign_build_info{namespace=~\"$namespace\", pod=~\"$pod\"})", "legendFormat": "{{ "{{" }}version}}", "refId": "A"}, {"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "max by (pod) (countersign_kek_version{namespace=~\"$namespace\", pod=~\"$pod\"})", "legendFormat": "KEK, {{ "{{" }}pod}}", "refId": "B"}],
      "fieldConfig": {"defaults": {"unit": "short", "min": 0}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    },
    {
      "id": 27,
      "type": "timeseries",
      "title": "Sections leaked",
      "description": "Always 0, or a bug.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 20, "y": 32, "w": 4, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "max by (pod) (countersign_secret_sections_leaked{namespace=~\"$namespace\", pod=~\"$pod\"})", "legendFormat": "{{ "{{" }}pod}}", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "short", "min": 0}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    },
    {
      "id": 28,
      "type": "row",
      "title": "Audit log",
      "collapsed": false,
      "gridPos": {"x": 0, "y": 40, "w": 24, "h": 1},
      "panels": []
    },
    {
      "id": 29,
      "type": "timeseries",
      "title": "Records",
      "description": "Durable, per second.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 0, "y": 41, "w": 6, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "sum by (pod) (rate(countersign_audit_records_total{namespace=~\"$namespace\", pod=~\"$pod\"}[$__rate_interval]))", "legendFormat": "{{ "{{" }}pod}}", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "wps", "min": 0}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    },
    {
      "id": 30,
      "type": "timeseries",
      "title": "Slowest flushes",
      "description": "p99 of the disk's part of the stage audit.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 6, "y": 41, "w": 6, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "histogram_quantile(0.99, sum by (le) (rate(countersign_audit_flush_seconds_bucket{namespace=~\"$namespace\", pod=~\"$pod\"}[$__rate_interval])))", "legendFormat": "p99", "refId": "A"}],
      "fieldConfig": {"defaults": {"unit": "s", "min": 0}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    },
    {
      "id": 31,
      "type": "timeseries",
      "title": "Waiting",
      "description": "For the disk; for the store to count them; for the table in Postgres.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 12, "y": 41, "w": 6, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "max(countersign_audit_queue{namespace=~\"$namespace\", pod=~\"$pod\"})", "legendFormat": "disk", "refId": "A"}, {"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "max(countersign_audit_uncounted{namespace=~\"$namespace\", pod=~\"$pod\"})", "legendFormat": "store", "refId": "B"}, {"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "max(countersign_audit_uncopied{namespace=~\"$namespace\", pod=~\"$pod\"})", "legendFormat": "Postgres", "refId": "C"}],
      "fieldConfig": {"defaults": {"unit": "short", "min": 0}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    },
    {
      "id": 32,
      "type": "timeseries",
      "title": "Since the last checkpoint",
      "description": "Signed heads: shipped, and delivered to the webhook.",
      "datasource": {"type": "prometheus", "uid": "${datasource}"},
      "gridPos": {"x": 18, "y": 41, "w": 6, "h": 8},
      "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "time() - min by (pod) (countersign_audit_checkpoint_timestamp_seconds{namespace=~\"$namespace\", pod=~\"$pod\"} > 0)", "legendFormat": "{{ "{{" }}pod}}", "refId": "A"}, {"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "time() - min by (pod) (countersign_audit_checkpoint_delivered_timestamp_seconds{namespace=~\"$namespace\", pod=~\"$pod\"} > 0)", "legendFormat": "webhook, {{ "{{" }}pod}}", "refId": "B"}],
      "fieldConfig": {"defaults": {"unit": "s", "min": 0}, "overrides": []},
      "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    },
    {
      "id": 33,
      "type": "row",
      "title": "TLS listeners, where there are some",
      "collapsed": true,
      "gridPos": {"x": 0, "y": 49, "w": 24, "h": 1},
      "panels": [
        {
          "id": 34,
          "type": "timeseries",
          "title": "Certificate",
          "description": "For how long it is valid.",
          "datasource": {"type": "prometheus", "uid": "${datasource}"},
          "gridPos": {"x": 0, "y": 50, "w": 8, "h": 8},
          "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "min by (pod, listener) (countersign_tls_certificate_not_after_seconds{namespace=~\"$namespace\", pod=~\"$pod\"}) - time()", "legendFormat": "{{ "{{" }}listener}}, {{ "{{" }}pod}}", "refId": "A"}],
          "fieldConfig": {"defaults": {"unit": "s"}, "overrides": []},
          "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
        },
        {
          "id": 35,
          "type": "timeseries",
          "title": "Reload refused",
          "description": "1 while the files of one hold what is refused, and the older certificate serves.",
          "datasource": {"type": "prometheus", "uid": "${datasource}"},
          "gridPos": {"x": 8, "y": 50, "w": 8, "h": 8},
          "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "max by (pod, listener) (countersign_tls_reload_failed{namespace=~\"$namespace\", pod=~\"$pod\"})", "legendFormat": "{{ "{{" }}listener}}, {{ "{{" }}pod}}", "refId": "A"}],
          "fieldConfig": {"defaults": {"unit": "short", "min": 0}, "overrides": []},
          "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
        },
        {
          "id": 36,
          "type": "timeseries",
          "title": "Handshakes that failed",
          "datasource": {"type": "prometheus", "uid": "${datasource}"},
          "gridPos": {"x": 16, "y": 50, "w": 8, "h": 8},
          "targets": [{"datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": "sum by (pod, listener) (rate(countersign_tls_handshakes_failed_total{namespace=~\"$namespace\", pod=~\"$pod\"}[$__rate_interval]))", "legendFormat": "{{ "{{" }}listener}}, {{ "{{" }}pod}}", "refId": "A"}],
          "fieldConfig": {"defaults": {"unit": "reqps", "min": 0}, "overrides": []},
          "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
        }
      ]
    }
  ]
}
{{- end -}}
