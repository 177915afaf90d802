# Shared by .ci/run and .ci/full, which source it from the root of the repository.

# node-gyp finds the headers beside Node where they are installed with it, and need not fetch them.
prefix=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
if [ -z "${npm_config_nodedir:-}" ] && [ -f "$prefix/include/node/node.h" ]; then
  export npm_config_nodedir=$prefix
fi

passed=0
failed=0
step() { printf '\n== %s\n' "$1"; }
fail() { printf '\n%s failed\n' "$1"; printf '%s passed, %s failed\n' "$passed" "$((failed + 1))"; exit 1; }
# Counts one check by the status of the command before.
count() { if [ "$1" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi; }

# Runs a command that runs vitest, and adds up what it counted.
suite() {
  local results status more_passed more_failed
  results=$(mktemp)
  "$@" --reporter=default --reporter=json --outputFile.json="$results"
  status=$?
  read -r more_passed more_failed < <(env -u LD_PRELOAD node -e '
    const { numPassedTests = 0, numFailedTests = 0 } = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"));
    console.log(numPassedTests, numFailedTests);' "$results" 2>/dev/null || echo '0 1')
  rm -f "$results"
  [ "$status" -eq 0 ] || [ "$more_failed" -gt 0 ] || more_failed=1
  passed=$((passed + more_passed))
  failed=$((failed + more_failed))
}
