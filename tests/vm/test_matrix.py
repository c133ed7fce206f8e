# SPDX-License-Identifier: Apache-2.0
"""A [[matrix]] over two kernels in real guests."""
import os

from conftest import read_file, write_file

MATRIX = '''
[defaults]
accel = "tcg"
vm = { memory = "512M", num_cpus = 1 }
env_pass = []

[[matrix]]
name = "{test} on {kernel.name}"
kernel = ["kernels/*/boot/vmlinuz*"]
test = ["one", "t w'o"]
command = """
echo "$VMTEST_AXIS_TEST|$VMTEST_AXIS_KERNEL|$FROM_THE_HOST" > "${test:-result}-{kernel.name}-$(echo "{test}" | wc -c)"
"""
exclude = [{ kernel = "kernels/6.2/*", test = "one" }]
'''


def test_each_combination_runs_with_its_values_in_the_environment(run, project, kernel):
    root = os.path.dirname(os.path.dirname(kernel))
    os.mkdir(f"{project}/kernels")
    for version in ("6.10", "6.2"):
        os.symlink(root, f"{project}/kernels/{version}")
    write_file(f"{project}/vmtest.toml", MATRIX)
    listed = run(["list"], cwd=project)
    assert listed.stdout.decode() == "t w'o on 6.2\none on 6.10\nt w'o on 6.10\n", str(listed)
    result = run([], cwd=project, env={"FROM_THE_HOST": "no", "VMTEST_AXIS_TEST": "of the host"}, timeout=240)
    assert result.status == 0, str(result)
    path = f"{project}/kernels/{{}}/boot/{os.path.basename(kernel)}"
    for name, content in {"result-6.2-6": f"t w'o|{path.format('6.2')}|",
                          "result-6.10-4": f"one|{path.format('6.10')}|",
                          "result-6.10-6": f"t w'o|{path.format('6.10')}|"}.items():
        assert read_file(f"{project}/{name}").decode().strip() == content
