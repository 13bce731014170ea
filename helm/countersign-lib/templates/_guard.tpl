{{/*
Keeps people out of the enclave's container: a ValidatingAdmissionPolicy and its binding, whole objects. In the namespace of
the release it refuses

  exec and attach into the container `countersign`,
  ephemeral containers in a pod that has it: one with the enclave's uid, or with its volumes, is as good as exec,
  another image for it in a pod that is there: so is that.

Takes `exempt`, the groups that may do it all the same, and `doors`, where other containers are people's, too: the user who may
exec into each of them; then nobody may into any other, and nobody attaches. RBAC cannot tell containers apart, an admission
policy can.
*/}}
{{- define "countersign.guard" -}}
{{- $name := printf "%s-%s-guard" .root.Release.Namespace (include "countersign.name" .) -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {{ $name }}
  labels:
    {{- include "countersign.labels" . | nindent 4 }}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
      - apiGroups: [""]
        apiVersions: [v1]
        operations: [CONNECT]
        resources: [pods/exec, pods/attach]
      - apiGroups: [""]
        apiVersions: [v1]
        operations: [UPDATE]
        resources: [pods, pods/ephemeralcontainers]
  {{- with .exempt }}
  matchConditions:
    - name: not-exempt
      expression: {{ printf "!request.userInfo.groups.exists(group, group in %s)" (toJson .) | quote }}
  {{- end }}
  variables:
    - name: enclave
      expression: '"countersign"'
    - name: connects
      expression: 'request.operation == "CONNECT"'
    {{- with .doors }}
    - name: doors
      expression: {{ toJson . | quote }}
    {{- end }}
  validations:
    {{- /* Without a name it is the only container of the pod, which is the enclave where operators run it. */}}
    - expression: '!variables.connects || (has(object.container) && object.container != "" && object.container != variables.enclave)'
      message: 'exec and attach: name a container (-c), which is not the enclave'
      reason: Forbidden
    {{- with .doors }}
    - expression: '!variables.connects || request.subResource == "exec"'
      message: 'nobody attaches to a desk'
      reason: Forbidden
    - expression: '!variables.connects || (has(object.container) && object.container in variables.doors && variables.doors[object.container] == request.userInfo.username)'
      message: 'this desk is of somebody else'
      reason: Forbidden
    {{- end }}
    - expression: >-
        !has(request.subResource) || request.subResource != "ephemeralcontainers" ||
        !(object.spec.containers + (has(object.spec.initContainers) ? object.spec.initContainers : []))
        .exists(container, container.name == variables.enclave)
      message: 'no ephemeral container in a pod that has an enclave'
      reason: Forbidden
    - expression: >-
        variables.connects || (object.spec.containers + (has(object.spec.initContainers) ? object.spec.initContainers : []))
        .all(container, container.name != variables.enclave ||
        (oldObject.spec.containers + (has(oldObject.spec.initContainers) ? oldObject.spec.initContainers : []))
        .exists(old, old.name == variables.enclave && old.image == container.image))
      message: 'the image of an enclave stays: change the Deployment'
      reason: Forbidden
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ $name }}
  labels:
    {{- include "countersign.labels" . | nindent 4 }}
spec:
  policyName: {{ $name }}
  validationActions: [Deny, Audit]
  matchResources:
    namespaceSelector:
      matchLabels:
        kubernetes.io/metadata.name: {{ .root.Release.Namespace | quote }}
{{- end -}}

{{/*
A Role that shows pods, their logs and events, and lets nobody into them, with its binding. Takes `subjects`: give them this
and not `edit`, which has exec.
*/}}
{{- define "countersign.observer" -}}
{{- $name := printf "%s-observer" (include "countersign.name" .) -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "countersign.labels" . | nindent 4 }}
rules:
  - apiGroups: [""]
    resources: [pods, pods/log, pods/status, events, persistentvolumeclaims]
    verbs: [get, list, watch]
  - apiGroups: [apps]
    resources: [deployments, deployments/status, replicasets]
    verbs: [get, list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "countersign.labels" . | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ $name }}
subjects:
  {{- toYaml .subjects | nindent 2 }}
{{- end -}}
