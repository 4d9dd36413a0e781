{{- define "cupel.name" -}}
{{- printf "%s-%s" .root.Release.Name .component | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "cupel.selector" -}}
app.kubernetes.io/name: cupel
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "cupel.labels" -}}
{{ include "cupel.selector" . }}
app.kubernetes.io/part-of: cupel
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 }}
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

{{/* An image that is not ours. dict: image, path (of the value), why */}}
{{- define "cupel.otherImage" -}}
{{- $repository := include "cupel.need" (dict "value" .image.repository "path" (printf "%s.repository" .path) "why" .why) -}}
{{- if .image.digest -}}{{ $repository }}@{{ .image.digest }}
{{- else -}}{{ $repository }}:{{ include "cupel.need" (dict "value" .image.tag "path" (printf "%s.tag" .path) "why" "name a tag, or better a digest") }}{{- end -}}
{{- end }}

{{/* Ends rendering with the value's path and the remedy. dict: value, path, why */}}
{{- define "cupel.need" -}}
{{- if not .value -}}{{- fail (printf "%s is needed: %s" .path .why) -}}{{- end -}}
{{- .value -}}
{{- end }}

{{- define "cupel.natsUrl" -}}
{{- if and .Values.nats.enabled .Values.nats.url -}}{{- fail "nats.enabled and nats.url: set one of the two, the evaluation server or yours" -}}{{- end -}}
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
{{- $_ := include "cupel.need" (dict "value" .Values.market.chainId "path" "market.chainId" "why" "the id of the chain that holds the market's contracts") -}}
{{- range list "stakeToken" "paymentToken" "stakeVault" "modelRegistry" "paymentChannels" "claimManager" "disputeManager" -}}
{{- $_ := include "cupel.need" (dict "value" (get $.Values.market.contracts .) "path" (printf "market.contracts.%s" .) "why" "the contract's address; `node contracts/script/deploy.ts` prints all seven") -}}
{{- end -}}
{{- dict "chainId" (int64 .Values.market.chainId) "rpc" .Values.market.rpc "contracts" .Values.market.contracts | toJson -}}
{{- end }}
