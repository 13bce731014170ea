{{/* The example application. A team's own container needs the enclave's mount and a runAsUser, and nothing else of this. */}}
{{- define "app.container" -}}
{{- $app := .root.Values.app -}}
name: app
image: {{ printf "%s@%s" $app.image.repository $app.image.digest | quote }}
imagePullPolicy: {{ $app.image.pullPolicy }}
{{- with $app.command }}
command:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $app.args }}
args:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $app.env }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $app.livenessProbe }}
livenessProbe:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $app.readinessProbe }}
readinessProbe:
  {{- toYaml . | nindent 2 }}
{{- end }}
resources:
  {{- toYaml $app.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  capabilities:
    drop: [ALL]
  privileged: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  runAsUser: {{ int64 $app.runAsUser }}
  runAsGroup: {{ int64 $app.runAsGroup }}
  seccompProfile:
    type: RuntimeDefault
volumeMounts:
  {{- include "countersign.appMount" .enclave | nindent 2 }}
  {{- with $app.volumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
