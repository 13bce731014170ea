{{/*
For NOTES.txt, where there is no guard: how people get into the enclave. An ephemeral container may mount the volumes of its pod and
take any user, so it has the token and the records without being in the enclave's container.
*/}}
{{- define "countersign.notes.people" -}}
{{- $held := list "its configuration" -}}
{{- if include "countersign.keepsRecords" . }}{{ $held = append $held "its records" }}{{ end -}}
{{- if include "countersign.usesVault" . }}{{ $held = append $held "its token for Vault" }}{{ end -}}
{{- if or (eq .enclave.store.kind "postgres") .enclave.audit.postgres.enabled }}{{ $held = append $held "its passwords" }}{{ end }}
  - Whoever has `exec` here gets into the enclave's container; whoever may make ephemeral containers (`kubectl debug`) mounts its volumes
    as its user, and has {{ join ", " $held }} (guard.enabled).
{{- end -}}

{{/* For NOTES.txt: what is not protected with these values, a line each. Takes `replicas` as well. */}}
{{- define "countersign.notes" -}}
{{- $production := include "countersign.isProduction" . -}}
{{- if hasSuffix ":0000000000000000000000000000000000000000000000000000000000000000" .enclave.image.digest }}
  ! enclave.image.digest is a placeholder that no image has: the pod cannot start.
{{- end }}
{{- if eq .enclave.kms.kind "local" }}
  ! The KEK is a file in the same volume as the shares (kms.kind local): whoever reads the volume has every share.
{{- end }}
{{- if eq .enclave.state.kind "emptyDir" }}
  ! THE AUDIT LOG IS ON THE NODE'S DISK AND GOES WITH THE POD (state.kind emptyDir){{ if eq .enclave.store.kind "sqlite" }}, AND SO DOES EVERY SHARE{{ end }}.
{{- else if eq .enclave.state.kind "ephemeral" }}
  {{ if .enclave.audit.postgres.enabled }}-{{ else }}!{{ end }} The audit log's volume goes with its pod (state.kind ephemeral){{ if .enclave.audit.postgres.enabled }}; what stays is the copy in Postgres{{ else }}, and no copy of it is kept: see audit.postgres{{ end }}.
{{- end }}
{{- if .enclave.custody.enabled }}
  ! Whoever may `kubectl exec` into the enclave makes shares (custody.enabled), all of them as one caller.
{{- end }}
{{- if not (or .enclave.audit.webhook.url .enclave.audit.postgres.enabled) }}
  - Signed heads of the audit log leave the pod in its log alone: collect it, or set audit.webhook.
{{- end }}
{{- if and (ne .enclave.memory.require "memfd_secret") (not $production) }}
  - On a kernel without memfd_secret root reads open shares (memory.require).
{{- end }}
{{- if not (or .enclave.limits.callerRate .enclave.limits.shareRate) }}
  - No rate limits what a compromised application has signed (limits.callerRate, limits.shareRate).
{{- end }}
{{- if eq .enclave.store.kind "vault-kv" }}
  - Records and KEK are in one Vault: whoever controls it has every share.
{{- end }}
{{- if not .enclave.probes.readiness.enabled }}
  - The pod is ready while the enclave cannot sign (probes.readiness.enabled).
{{- end }}
{{- if not .enclave.metrics.enabled }}
  - There are no metrics, and so no alerts (metrics.enabled).
{{- end }}
{{- if not .enclave.runAsUser }}
  - The platform chooses users: make sure that the application's is not the enclave's.
{{- end }}
{{- if include "countersign.usesVault" . }}
  - Whoever may make pods in this namespace, or tokens of their service account, logs in at Vault as the enclave does.
{{- end }}
  - Never: root on the node who traces the process, and an application that policy permits.
{{- end -}}
