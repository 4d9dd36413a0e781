{{/* Pod template shared by every service: restricted pod security, configuration file, secrets as files, probes on their own port.
     dict: root, component, service (folder under services/), image, resources, config (JSON text), secrets (list of {name, secret}),
           ports (list of {name, port}), volumes (extra), mounts (extra), labels (extra), token (bool), grace (seconds), linger (seconds
           before SIGTERM in which a leaving pod still serves), spread (bool) */}}
{{- define "cupel.pod" -}}
metadata:
  labels:
    {{- include "cupel.labels" . | nindent 4 }}
    {{- with .labels }}{{ toYaml . | nindent 4 }}{{- end }}
  annotations:
    cupel.dev/config-sha256: {{ .config | sha256sum | quote }}
spec:
  serviceAccountName: {{ include "cupel.name" . }}
  automountServiceAccountToken: {{ .token | default false }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .grace | default 30 }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 1000
    runAsGroup: 1000
    fsGroup: 1000
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  {{- if .spread }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{- include "cupel.selector" . | nindent 10 }}
  {{- end }}
  containers:
    - name: {{ .component }}
      image: {{ include "cupel.image" . }}
      imagePullPolicy: {{ include "cupel.pullPolicy" . }}
      args: ["services/{{ .service }}/src/main.ts"]
      env:
        - {name: CUPEL_CONFIG, value: /etc/cupel/config.json}
        - {name: NODE_ENV, value: production}
        - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
      ports:
        - {name: metrics, containerPort: 9090}
        {{- range .ports }}
        - {name: {{ .name }}, containerPort: {{ .port }}}
        {{- end }}
      startupProbe: {httpGet: {path: /livez, port: metrics}, periodSeconds: 1, failureThreshold: 120}
      livenessProbe: {httpGet: {path: /livez, port: metrics}, periodSeconds: 10, timeoutSeconds: 5}
      readinessProbe: {httpGet: {path: /readyz, port: metrics}, periodSeconds: 1, timeoutSeconds: 3}
      {{- with .linger }}
      lifecycle: {preStop: {sleep: {seconds: {{ . }}}}}
      {{- end }}
      resources: {{- toYaml .resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      volumeMounts:
        - {name: config, mountPath: /etc/cupel/config.json, subPath: config.json, readOnly: true}
        {{- range .secrets }}
        - {name: secret-{{ .name }}, mountPath: /etc/cupel/secrets/{{ .name }}, readOnly: true}
        {{- end }}
        - {name: tmp, mountPath: /tmp}
        {{- with .mounts }}{{ toYaml . | nindent 8 }}{{- end }}
  volumes:
    - {name: config, configMap: {name: {{ include "cupel.name" . }}}}
    - {name: tmp, emptyDir: {}}
    {{- range .secrets }}
    - name: secret-{{ .name }}
      secret: {secretName: {{ .secret | quote }}, defaultMode: 0440}
    {{- end }}
    {{- with .volumes }}{{ toYaml . | nindent 4 }}{{- end }}
{{- end }}

{{/* ConfigMap and ServiceAccount of one workload. */}}
{{- define "cupel.base" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "cupel.name" . }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels: {{- include "cupel.labels" . | nindent 4 }}
automountServiceAccountToken: false
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "cupel.name" . }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels: {{- include "cupel.labels" . | nindent 4 }}
data:
  config.json: {{ .config | toJson }}
{{- end }}

{{- define "cupel.deployment" -}}
{{ include "cupel.base" . }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "cupel.name" . }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels: {{- include "cupel.labels" . | nindent 4 }}
spec:
  replicas: {{ .replicas | default 1 }}
  {{- if .recreate }}
  strategy: {type: Recreate}
  {{- else }}
  strategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
  {{- end }}
  selector:
    matchLabels: {{- include "cupel.selector" . | nindent 6 }}
  template: {{- include "cupel.pod" . | nindent 4 }}
{{- end }}

{{/* dict adds: persistence {size, storageClassName}, dataPath. One replica: the ledger has one owner. */}}
{{- define "cupel.statefulset" -}}
{{- $mounts := append (.mounts | default list) (dict "name" "data" "mountPath" .dataPath) -}}
{{- $pod := merge (dict "mounts" $mounts) . -}}
{{ include "cupel.base" . }}
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ include "cupel.name" . }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels: {{- include "cupel.labels" . | nindent 4 }}
spec:
  replicas: 1
  serviceName: {{ include "cupel.name" . }}
  podManagementPolicy: Parallel
  # The volume is the ledger: it outlives the release.
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Retain, whenScaled: Retain}
  selector:
    matchLabels: {{- include "cupel.selector" . | nindent 6 }}
  template: {{- include "cupel.pod" $pod | nindent 4 }}
  volumeClaimTemplates:
    - metadata:
        name: data
        labels: {{- include "cupel.selector" . | nindent 10 }}
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .persistence.storageClassName }}
        storageClassName: {{ . | quote }}
        {{- end }}
        resources: {requests: {storage: {{ .persistence.size | quote }}}}
{{- end }}

{{/* dict: root, component, ports (list of {name, port, target}), type, name (else the workload's) */}}
{{- define "cupel.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .name | default (include "cupel.name" .) | quote }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels: {{- include "cupel.labels" . | nindent 4 }}
spec:
  type: {{ .type | default "ClusterIP" }}
  selector: {{- include "cupel.selector" . | nindent 4 }}
  ports:
    {{- range .ports }}
    - {name: {{ .name }}, port: {{ .port }}, targetPort: {{ .target }}}
    {{- end }}
{{- end }}

{{/* Services of a router: metrics never leave the cluster with a port that does. dict: root, component, name, router (values) */}}
{{- define "cupel.routerServices" -}}
{{- $http := dict "name" "http" "port" (int .router.service.port) "target" "http" -}}
{{- $metrics := dict "name" "metrics" "port" 9090 "target" "metrics" -}}
{{- if eq .router.service.type "ClusterIP" -}}
{{ include "cupel.service" (dict "root" .root "component" .component "name" .name "ports" (list $http $metrics)) }}
{{- else -}}
{{ include "cupel.service" (dict "root" .root "component" .component "name" .name "type" .router.service.type "ports" (list $http)) }}
---
{{ include "cupel.service" (dict "root" .root "component" .component "name" (printf "%s-metrics" (include "cupel.name" .)) "ports" (list $metrics)) }}
{{- end }}
{{- end }}

{{- define "cupel.peers" -}}
{{- $out := dict "ports" list -}}
{{- range .ports }}{{- $_ := set $out "ports" (append $out.ports (dict "protocol" "TCP" "port" (int .))) }}{{- end -}}
{{- if .to }}{{- $_ := set $out "to" .to }}{{- end -}}
{{- toYaml $out -}}
{{- end }}

{{/* Default deny both ways, then what this workload needs. dict: root, component, ingress (list of {ports, from}), nats, rpc, api (bools), egress (extra rules) */}}
{{- define "cupel.networkpolicy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "cupel.name" . }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels: {{- include "cupel.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels: {{- include "cupel.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    - ports: [{protocol: TCP, port: 9090}]
    {{- range .ingress }}
    - ports: [{protocol: TCP, port: {{ .port }}}]
      {{- with .from }}
      from: {{- toYaml . | nindent 8 }}
      {{- end }}
    {{- end }}
  egress:
    - to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}, podSelector: {matchLabels: {k8s-app: kube-dns}}}]
    {{- if .nats }}
    - {{- include "cupel.peers" .root.Values.networkPolicy.nats | nindent 6 }}
    {{- end }}
    {{- if .rpc }}
    - {{- include "cupel.peers" .root.Values.networkPolicy.rpc | nindent 6 }}
    {{- end }}
    {{- if .api }}
    - {{- include "cupel.peers" .root.Values.networkPolicy.apiServer | nindent 6 }}
    {{- end }}
    {{- with .egress }}{{ toYaml . | nindent 4 }}{{- end }}
{{- end }}

{{- define "cupel.pdb" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "cupel.name" . }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels: {{- include "cupel.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "cupel.selector" . | nindent 6 }}
{{- end }}
