{{/* A policy is in force by its binding. Call with (dict "root" . "name" "…"); with "each" true: it is asked once for each of its parameters. */}}
{{- define "ostler.binding" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ .name }}
  labels: {{- include "ostler.labels" .root | nindent 4 }}
spec:
  policyName: {{ .name }}
  {{- if .each }}
  paramRef: {selector: {}, parameterNotFoundAction: Allow}
  {{- end }}
  validationActions: [Deny]
{{- end }}
