{{/*
Alerts on what the enclave measures, a whole PrometheusRule. Takes `labels`, which the operator of Prometheus selects by.
Each is about one pod: its labels are those of the series. docs/operate.md has a section for each.
*/}}
{{- define "countersign.prometheusRule" -}}
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: {{ include "countersign.name" . | quote }}
  namespace: {{ .root.Release.Namespace | quote }}
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
{{- $faults := include "countersign.faults" . -}}
{{- $checkpoints := include "countersign.seconds" .enclave.audit.checkpoints | int64 -}}
groups:
  - name: countersign
    rules:
      # Who was refused, and why, in ten minutes. What appeared meanwhile counts from nothing, which `increase` does not see. Whoever asks
      # while the store is away is refused before policy as well, and has done nothing.
      - record: countersign:refused:increase10m
        expr: |
          sum without (action, outcome) (
            (
              countersign_outcomes_total{outcome="denied"} unless countersign_outcomes_total{outcome="denied"} offset 10m
                and on (namespace, pod) countersign_ready offset 10m
            ) or increase(countersign_outcomes_total{outcome="denied"}[10m])
          )
          or (
            countersign_refusals_total{reason!~"{{ $faults }}"} unless countersign_refusals_total offset 10m
              and on (namespace, pod) countersign_ready offset 10m
          ) or increase(countersign_refusals_total{reason!~"{{ $faults }}"}[10m])
      - alert: CountersignNotReady
        expr: countersign_ready == 0
        for: 1m
        labels: {severity: critical}
        annotations:
          summary: The enclave cannot sign
          description: Store, KMS or audit log do not answer. The enclave's log says which ("Not ready").
      - alert: CountersignNotScraped
        expr: absent(countersign_ready{namespace="{{ .root.Release.Namespace }}"})
        for: 10m
        labels: {severity: warning}
        annotations:
          summary: Nobody measures the enclave
          description: No metrics come from this namespace, so that no other alert can fire. There is no pod, or the scraper does not reach it.
      - alert: CountersignKmsAway
        expr: countersign_backend_up{backend="kms"} == 0
        for: 1m
        labels: {severity: critical}
        annotations:
          summary: The KMS does not answer as it should
          description: Vault is sealed, away, or denies the login. The enclave's log has the reason, KMS_.
      - alert: CountersignStoreAway
        expr: countersign_backend_up{backend="store"} == 0
        for: 1m
        labels: {severity: critical}
        annotations:
          summary: The store does not answer as it should
          description: The database is away or denies the login. The enclave's log has the reason, STORE_.
      - alert: CountersignAuditNotWritable
        expr: countersign_audit_writable == 0
        labels: {severity: critical}
        annotations:
          summary: The audit log cannot be written, and nothing is signed
          description: The state volume is full, read-only or away. It is tried again by itself.
      - alert: CountersignRequestsFail
        expr: |
          sum without (caller, action, outcome) (
            rate(countersign_outcomes_total{reason=~"KMS_.*|STORE_.*"}[2m]) or rate(countersign_refusals_total{reason=~"KMS_.*|STORE_.*"}[2m])
          ) / ignoring (reason) group_left sum without (caller, action, outcome, reason) (
            rate(countersign_outcomes_total[2m]) or rate(countersign_refusals_total[2m])
          ) > 0.05
        for: 5m
        labels: {severity: warning}
        annotations:
          summary: More than one request in twenty fails at KMS or store
          description: The label reason says how. Readiness may be on meanwhile, where some requests succeed.
      - alert: CountersignRecordUnreadable
        expr: |
          (
            countersign_outcomes_total{reason=~"ENVELOPE_.*|STORE_CORRUPT"}
              unless countersign_outcomes_total{reason=~"ENVELOPE_.*|STORE_CORRUPT"} offset 10m
              and on (namespace, pod) countersign_ready offset 10m
          ) or increase(countersign_outcomes_total{reason=~"ENVELOPE_.*|STORE_CORRUPT"}[10m]) > 0
        labels: {severity: critical}
        annotations:
          summary: A record does not open
          description: It was damaged, or somebody changed it. Take it for an attack on the store until it is explained.
      - alert: CountersignRefusalsSpike
        expr: |
          countersign:refused:increase10m > 20
            and countersign:refused:increase10m
            > 4 * (avg_over_time(countersign:refused:increase10m[1h] offset 10m) or 0 * countersign:refused:increase10m)
        labels: {severity: warning}
        annotations:
          summary: A caller is refused far more often than in the hour before
          description: The labels say who and why. An application was changed, or somebody else uses it. `countersign audit show` says what was asked for.
      - alert: CountersignUnknownCaller
        expr: countersign:refused:increase10m{reason="CALLER_UNKNOWN"} > 0
        labels: {severity: warning}
        annotations:
          summary: Somebody calls whom the configuration does not know
          description: A container without its own runAsUser, or one that should not have the socket. The log has its uid.
      - alert: CountersignRateReached
        expr: rate(countersign_rate_refusals_total[5m]) > 0
        for: 10m
        labels: {severity: warning}
        annotations:
          summary: Calls are refused because a rate is exceeded
          description: The label limit says whose, a caller's or a share's. The log says which.
      - alert: CountersignSlow
        expr: |
          histogram_quantile(0.99, sum without (code) (rate(countersign_request_duration_seconds_bucket{method="Sign"}[5m]))) > 1
        for: 10m
        labels: {severity: warning}
        annotations:
          summary: One signature in a hundred takes more than a second
          description: countersign_stage_duration_seconds says where the time goes. Mostly it is the KMS (unwrap) or the disk (audit).
      - alert: CountersignKekOverdue
        expr: countersign_kek_overdue == 1
        for: 1h
        labels: {severity: warning}
        annotations:
          summary: The KEK's newest version is older than 90 days
          description: Rotate the key and rewrap (docs/rotation.md).
      {{- if eq .enclave.kms.kind "vault-transit" }}
      - alert: CountersignLoginEnds
        expr: countersign_kms_login_expiry_timestamp_seconds - time() < 120
        for: 1m
        labels: {severity: critical}
        annotations:
          summary: The login at Vault ends and is not renewed
          description: A token is renewed long before. Vault is away, or its role no longer takes the pod's service account. The label role says which login.
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
        expr: countersign_secret_slots_free / countersign_secret_slots < 0.1
        for: 5m
        labels: {severity: warning}
        annotations:
          summary: Nine tenths of the slots of secret memory are taken
          description: Calls are refused soon. Raise limits.inFlight or limits.streams, or find out who holds streams open.
      - alert: CountersignPoliciesStale
        expr: countersign_policies_stale == 1
        for: 5m
        labels: {severity: warning}
        annotations:
          summary: Policies were refused, and older ones are in force
          description: The log says what is wrong with them. `countersign policy test` finds it before a rollout.
      # There are series where there is a listener.
      - alert: CountersignCertificateEnds
        expr: countersign_tls_certificate_not_after_seconds - time() < 600
        labels: {severity: critical}
        annotations:
          summary: The certificate of a TLS listener expires in ten minutes, or has
          description: Whoever renews it did not. Nobody can connect to the listener afterwards; what is connected goes on.
      - alert: CountersignCertificateRefused
        expr: countersign_tls_reload_failed == 1
        for: 5m
        labels: {severity: warning}
        annotations:
          summary: The files of a TLS listener were refused, and older ones are in use
          description: The log says what is wrong with them. It takes good ones within seconds, without a restart.
      - alert: CountersignConnectionsRefused
        expr: rate(countersign_connections_refused_total[5m]) > 0
        for: 10m
        labels: {severity: warning}
        annotations:
          summary: Connections are closed because there are too many
          description: Clients should keep one channel. Raise limits.connections where they do.
      # A pod that is new, or was idle, has none for as long as the interval.
      - alert: CountersignCheckpointsStopped
        expr: |
          time() - countersign_audit_checkpoint_timestamp_seconds > {{ max 900 (mul 2 $checkpoints) }}
            and increase(countersign_audit_records_total[15m]) > 0
        for: {{ max 300 (mul 2 $checkpoints) }}s
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

{{/* Reasons that are nobody's who asks: a regular expression. */}}
{{- define "countersign.faults" -}}
KMS_.*|STORE_.*|AUDIT_FAILED|INTERNAL|SHUTTING_DOWN|DEADLINE_EXCEEDED
{{- end -}}

{{/* A duration, in whole seconds. */}}
{{- define "countersign.seconds" -}}
{{- $seconds := 0 -}}
{{- $units := dict "ms" 0 "s" 1 "m" 60 "h" 3600 "d" 86400 -}}
{{- range regexFindAll "[0-9]+(ms|[smhd])" . -1 -}}
{{- $seconds = add $seconds (mul (regexFind "^[0-9]+" . | int64) (get $units (regexFind "[a-z]+$" .))) -}}
{{- end -}}
{{- $seconds -}}
{{- end -}}
