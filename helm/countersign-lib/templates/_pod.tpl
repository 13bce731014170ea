{{/*
What the pod itself has to say, keys of its `spec`. No container gets a token of the service account unless it asks for
one: the enclave has one for Vault alone. Files that are there keep their modes (`OnRootMismatch`): those of the audit
log and of a local KEK are for their owner only.
*/}}
{{- define "countersign.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
shareProcessNamespace: false
securityContext:
  runAsNonRoot: true
  {{- with .enclave.fsGroup }}
  fsGroup: {{ int64 . }}
  {{- end }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{/*
Annotations of the pod's template. The server reads its configuration once, so a change of it makes new pods; policies
are read when they change, so theirs does not.
*/}}
{{- define "countersign.podAnnotations" -}}
countersign/configuration: {{ include "countersign.toml" . | sha256sum }}
{{- end -}}
