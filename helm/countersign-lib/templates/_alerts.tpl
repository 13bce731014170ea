{{/*
Alerts on what the enclave measures, a whole PrometheusRule. Takes `labels`, which the operator of Prometheus selects by.
Each is about one pod: its labels are those of the series.
*/}}
{{- define "countersign.prometheusRule" -}}
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: {{ include "countersign.name" . }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "countersign.labels" . | nindent 4 }}
    {{- with .labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- include "countersign.alerts" . | nindent 2 }}
{{- end -}}

{{- define "countersign.alerts" -}}
{{- $production := include "countersign.isProduction" . -}}
groups:
  - name: countersign
    rules:
      - alert: CountersignNotReady
        expr: countersign_ready == 0
        for: {{ int64 .enclave.probes.readiness.unreadyAfterSeconds }}s
        labels: {severity: critical}
        annotations:
          summary: The enclave cannot sign
          description: Store, KMS or audit log do not answer. The enclave's log says which ("Not ready"). A sealed Vault is the first thing to look at.
      - alert: CountersignAuditNotWritable
        expr: countersign_audit_writable == 0
        labels: {severity: critical}
        annotations:
          summary: The audit log cannot be written, and nothing is signed
          description: The state volume is full, read-only or away. It is tried again by itself.
      - alert: CountersignKmsOrStoreFails
        expr: |
          sum without (method, code) (rate(countersign_requests_total{code="UNAVAILABLE"}[5m]))
            / sum without (method, code) (rate(countersign_requests_total[5m])) > 0.05
        for: 5m
        labels: {severity: warning}
        annotations:
          summary: More than one call in twenty finds KMS or store away
          description: Look at the reasons in the enclave's log, KMS_ and STORE_, and at Vault and the database.
      - alert: CountersignRefusalsSpike
        expr: |
          sum without (method) (increase(countersign_requests_total{code="PERMISSION_DENIED"}[10m])) > 20
            and sum without (method) (increase(countersign_requests_total{code="PERMISSION_DENIED"}[10m]))
            > 4 * sum without (method) (increase(countersign_requests_total{code="PERMISSION_DENIED"}[1h] offset 10m)) / 6
        labels: {severity: warning}
        annotations:
          summary: Policy refuses far more than in the hour before
          description: An application was changed, or somebody else uses it. `countersign audit show --outcome denied` says who asked for what.
      - alert: CountersignUnknownCaller
        expr: sum without (method) (increase(countersign_requests_total{code="UNAUTHENTICATED"}[10m])) > 0
        labels: {severity: warning}
        annotations:
          summary: Somebody calls whom the configuration does not know
          description: A container without its own runAsUser, or one that should not have the socket. The log has its uid.
      - alert: CountersignRateReached
        expr: sum without (limit) (rate(countersign_rate_refusals_total[5m])) > 0
        for: 10m
        labels: {severity: warning}
        annotations:
          summary: Calls are refused because a rate is exceeded
          description: The label of countersign_rate_refusals_total says whose, a caller's or a share's. The log says which.
      - alert: CountersignSlow
        expr: |
          histogram_quantile(0.99, sum without (code) (rate(countersign_request_duration_seconds_bucket{method="Sign"}[5m]))) > 1
        for: 10m
        labels: {severity: warning}
        annotations:
          summary: One signature in a hundred takes more than a second
          description: Most of it is the KMS and the disk. Compare countersign_audit_flush_seconds, and Vault's own latency.
      - alert: CountersignKekOverdue
        expr: countersign_kek_overdue == 1
        for: 1h
        labels: {severity: warning}
        annotations:
          summary: The KEK's newest version is older than 90 days
          description: Rotate the key and rewrap (docs/rotation.md).
      {{- if eq .enclave.kms.kind "vault-transit" }}
      - alert: CountersignKekAgeUnknown
        expr: countersign_kek_version == 0
        for: 1h
        labels: {severity: warning}
        annotations:
          summary: The enclave does not know how old the KEK is
          description: The signer's policy in Vault has no right to read the key. Print it anew with `countersign vault policy`.
      {{- end }}
      {{- if or $production (eq .enclave.memory.require "memfd_secret") }}
      - alert: CountersignProtectionTooLow
        expr: countersign_secret_memory_info{level!="memfd_secret"}
        labels: {severity: critical}
        annotations:
          summary: Secret memory is not protected as this environment demands
          description: The node's kernel gives no memfd_secret. Root on it reads open shares.
      {{- end }}
      - alert: CountersignSectionLeaked
        expr: countersign_secret_sections_leaked > 0
        labels: {severity: critical}
        annotations:
          summary: A section ended with something left on its heap
          description: This is a bug. Report it.
      - alert: CountersignSlotsRunOut
        expr: countersign_secret_slots_free < 8
        for: 5m
        labels: {severity: warning}
        annotations:
          summary: Hardly any slot of secret memory is free
          description: Calls are refused soon. Raise limits.inFlight or limits.streams, or find out who holds streams open.
      - alert: CountersignPoliciesStale
        expr: countersign_policies_stale == 1
        for: 5m
        labels: {severity: warning}
        annotations:
          summary: Policies were refused, and older ones are in force
          description: The log says what is wrong with them. `countersign policy test` finds it before a rollout.
      - alert: CountersignConnectionsRefused
        expr: rate(countersign_connections_refused_total[5m]) > 0
        for: 10m
        labels: {severity: warning}
        annotations:
          summary: Connections are closed because there are too many
          description: Clients should keep one channel. Raise limits.connections where they do.
      - alert: CountersignCheckpointsStopped
        expr: |
          time() - countersign_audit_checkpoint_timestamp_seconds > 900
            and increase(countersign_audit_records_total[15m]) > 0
        labels: {severity: warning}
        annotations:
          summary: The audit log grows, and its signed head is not shipped
          description: The key of the instance is not open, or the disk fails. The log says why.
      {{- if .enclave.audit.postgres.enabled }}
      - alert: CountersignAuditNotCopied
        expr: countersign_audit_uncopied > 1000
        for: 15m
        labels: {severity: {{ ternary "warning" "critical" (eq .enclave.state.kind "claim") }}}
        annotations:
          summary: Audit records wait to be copied into Postgres
          description: With an ephemeral state volume this copy is the one that stays. Look after the audit database before pods go.
      {{- end }}
{{- end -}}
