// Modules whose files hold the CustomResourceDefinitions that the test bed applies. No Go code of them is built.
module gwdoctor.test/crds

go 1.27.0

require (
	github.com/cert-manager/cert-manager v1.21.2
	github.com/envoyproxy/gateway v1.9.1
	github.com/kyverno/kyverno v1.18.2
	github.com/openreports/reports-api v0.2.1
	istio.io/api v1.31.1
	sigs.k8s.io/gateway-api v1.7.0
	sigs.k8s.io/kwok v0.8.0
)
