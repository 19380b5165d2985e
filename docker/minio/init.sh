#!/bin/sh
# Buckets and their users; may run any number of times.
set -eu
# By the environment and standard input: what is on the command line shows in every list of processes.
export MC_HOST_stack="http://$MINIO_ROOT_USER:$MINIO_ROOT_PASSWORD@minio:9000"

allowed() { # allowed POLICY USER: whether the user has the policy already (attaching it again is an error)
  case "$(mc admin user info --json stack "$2")" in *"\"policyName\":\"$1\""*) true ;; *) false ;; esac
}

user() { # user NAME PASSWORD BUCKET...: may read, write and list these buckets, and nothing else
  name=$1 password=$2 resources=
  shift 2
  for bucket in "$@"; do
    mc mb --ignore-existing "stack/$bucket"
    resources="$resources${resources:+,}\"arn:aws:s3:::$bucket\",\"arn:aws:s3:::$bucket/*\""
  done
  policy="buckets-$(echo "$*" | tr ' ' '-')"
  cat > /tmp/policy.json <<JSON
{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": [$resources],
 "Action": ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:GetObject", "s3:PutObject",
            "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]}]}
JSON
  mc admin policy create stack "$policy" /tmp/policy.json
  printf '%s\n%s\n' "$name" "$password" | mc admin user add stack
  allowed "$policy" "$name" || mc admin policy attach stack "$policy" --user "$name"
}

user "$CHURN_S3_USER" "$CHURN_S3_PASSWORD" churn dvc
user "$MLFLOW_S3_USER" "$MLFLOW_S3_PASSWORD" mlflow
