{{- define "cupel.name" -}}
{{- printf "%s-%s" .root.Release.Name .component | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "cupel.selector" -}}
app.kubernetes.io/name: cupel
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "cupel.labels" -}}
{{ include "cupel.selector" . }}
app.kubernetes.io/part-of: cupel
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{/* The image of a component: its own fields over the chart's. A digest wins over a tag. */}}
{{- define "cupel.image" -}}
{{- $i := mergeOverwrite (deepCopy .root.Values.image) (deepCopy (.image | default dict)) -}}
{{- if $i.digest -}}{{ $i.repository }}@{{ $i.digest }}{{- else -}}{{ $i.repository }}:{{ $i.tag | default .root.Chart.AppVersion }}{{- end -}}
{{- end }}

{{- define "cupel.pullPolicy" -}}
{{- $i := mergeOverwrite (deepCopy .root.Values.image) (deepCopy (.image | default dict)) -}}
{{ $i.pullPolicy | default "IfNotPresent" }}
{{- end }}

{{- define "cupel.need" -}}
{{- if not .value -}}{{- fail (printf "%s is needed: %s" .path .why) -}}{{- end -}}
{{- .value -}}
{{- end }}

{{- define "cupel.natsUrl" -}}
{{- if .Values.nats.enabled -}}nats://{{ .Release.Name }}-nats.{{ .Release.Namespace }}.svc:4222
{{- else -}}{{ include "cupel.need" (dict "value" .Values.nats.url "path" "nats.url" "why" "name your NATS server, or set nats.enabled for an evaluation one") }}{{- end -}}
{{- end }}

{{/* What every configuration file starts with, as a dict in JSON. */}}
{{- define "cupel.config.common" -}}
{{- dict "log" (dict "level" .logLevel) "metricsPort" 9090
  "nats" (dict "url" (include "cupel.natsUrl" .root) "userFile" "/etc/cupel/secrets/nats/user" "passwordFile" "/etc/cupel/secrets/nats/password")
  | toJson -}}
{{- end }}

{{- define "cupel.config.market" -}}
{{- $_ := include "cupel.need" (dict "value" .Values.market.rpc "path" "market.rpc" "why" "name at least one RPC endpoint of the chain") -}}
{{- dict "chainId" (int64 .Values.market.chainId) "rpc" .Values.market.rpc "contracts" .Values.market.contracts | toJson -}}
{{- end }}
