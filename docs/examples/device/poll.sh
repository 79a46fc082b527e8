#!/bin/sh
# Keep a file with the coefficients of an edge: sh poll.sh URL EDGE FILE [KEY]. Needs curl 7.68 or newer.
url=$1 edge=$2 file=$3 key=${4:-} wait_s=1
while :; do
  # curl keeps the ETag in a file, sends it as If-None-Match, and writes nothing for a 304.
  status=$(curl --silent --show-error --max-time 90 --header 'Prefer: wait=60' ${key:+--header "Authorization: Bearer $key"} \
    --etag-compare "$file.etag" --etag-save "$file.etag.new" --output "$file.new" --write-out '%{http_code}' \
    "$url/v1/edges/$edge/coefficients")
  case $status in
    200) mv "$file.new" "$file"; mv "$file.etag.new" "$file.etag"; wait_s=1; echo "$file is now $(cat "$file.etag")" ;;
    304) wait_s=1 ;;
    *) echo "status $status"; sleep $wait_s; wait_s=$((wait_s < 30 ? 2 * wait_s : 60)) ;;
  esac
done
