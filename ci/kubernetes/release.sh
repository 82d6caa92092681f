#!/bin/sh
# Migrates the database to a release and, if that has worked, rolls the release out.
# Usage: release.sh TAG, that of the image. After a failure, the same line tries again.
set -eu
cd "$(dirname "$0")"
release=$1
# As the name of a pod may be: lower case and dashes.
job=migrate-$(printf %s "$release" | tr '[:upper:]._' '[:lower:]--')
deployment=deployment/agent-management-service

manifest() { sed "s/migrate-RELEASE/$job/; s/RELEASE/$release/" "$1"; }
conditions() {
    kubectl get job "$job" --ignore-not-found -o 'jsonpath={.status.conditions[?(@.status=="True")].type}'
}

# A Job that has failed is not run again by `apply`.
case " $(conditions) " in *" Failed "*) kubectl delete job "$job" ;; esac
manifest job.yaml | kubectl apply -f -

# `kubectl wait` waits for one condition, and would not see the other one. The Job's own deadline ends this.
while :; do
    state=$(conditions)
    case " $state " in
        *" Complete "*) break ;;
        *" Failed "*)
            kubectl logs --prefix --tail=-1 --selector "job-name=$job"
            echo "$job has failed: nothing was rolled out, the release before runs on" >&2
            exit 1 ;;
    esac
    sleep 2
done

manifest deployment.yaml | kubectl apply -f -
if ! kubectl rollout status "$deployment" --timeout=10m; then
    # The code alone: the database stays ahead of it.
    kubectl rollout undo "$deployment"
    exit 1
fi
