{{/*
One validation: what is new in variables.PARTS (a list of [field, value]) needs the verb `use` on a resource of ostler.dev.
Call with (dict "parts" "hostPaths" "resource" "hostpaths").
*/}}
{{- define "ostler.grant" -}}
- expression: >-
    size(variables.{{ .parts }}) == 0 ||
    authorizer.group('ostler.dev').resource('{{ .resource }}').namespace(request.namespace).check('use').allowed()
  messageExpression: >-
    variables.{{ .parts }}.map(part, string(part[0])).join(', ') +
    ": this reaches the host, and needs the verb 'use' on '{{ .resource }}' in the group ostler.dev, in the namespace " + request.namespace
  reason: Forbidden
{{- end }}

{{/* A variable with the parts that were not there before. Call with (dict "parts" "hostPaths"). */}}
{{- define "ostler.newParts" -}}
- name: {{ .parts }}
  expression: variables.{{ .parts }}Of[0].filter(part, !(part in variables.{{ .parts }}Of[1]))
{{- end }}

{{- define "ostler.binding" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ .name }}
  labels: {{- include "ostler.labels" .root | nindent 4 }}
spec:
  policyName: {{ .name }}
  validationActions: [Deny]
{{- end }}

{{/* New or changed specs of one kind. Call with (dict "resource" "domains"). */}}
{{- define "ostler.specsOf" -}}
failurePolicy: Fail
matchConstraints:
  resourceRules:
    - apiGroups: [ostler.dev]
      apiVersions: ["*"]
      operations: [CREATE, UPDATE]
      resources: [{{ .resource }}]
matchConditions:
  - name: has-another-spec
    expression: request.operation == 'CREATE' || object.spec != oldObject.spec
{{- end }}
