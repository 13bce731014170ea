{{/*
A value of YAML as an expression of CEL, so that a policy's patch and a chart's pod come from one template. A map becomes an
object of the type that MutatingAdmissionPolicy gives the field (`Object.spec.volumes.emptyDir`), which the API server
checks; one whose keys are no identifiers (labels) stays a map. Takes `type` and `value`.
*/}}
{{- define "injector.cel" -}}
{{- $type := .type -}}
{{- if kindIs "map" .value -}}
  {{- $fields := list -}}
  {{- $isObject := true -}}
  {{- range $key, $_ := .value }}{{ if not (regexMatch "^[a-zA-Z]+$" $key) }}{{ $isObject = false }}{{ end }}{{ end -}}
  {{- range $key, $value := .value -}}
    {{- $cel := include "injector.cel" (dict "type" (printf "%s.%s" $type $key) "value" $value) -}}
    {{- $fields = append $fields (printf "%s: %s" (ternary $key (toJson $key) $isObject) $cel) -}}
  {{- end -}}
  {{- if $isObject }}{{ $type }}{{ end }}{ {{- join ", " $fields -}} }
{{- else if kindIs "slice" .value -}}
  {{- $items := list -}}
  {{- range .value }}{{ $items = append $items (include "injector.cel" (dict "type" $type "value" .)) }}{{ end -}}
  [{{ join ", " $items }}]
{{- else if kindIs "string" .value -}}
  {{ toRawJson .value }}
{{- else if kindIs "bool" .value -}}
  {{ .value }}
{{- else -}}
  {{ int64 .value }}
{{- end -}}
{{- end -}}
