# SPDX-License-Identifier: Apache-2.0
"""The HTML report in a browser: with none, twelve and five hundred targets."""
import re
import subprocess

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

import run
from conftest import PATIENCE, TOP

WORST = [
    ("control characters", "a\x01b\x07c"), ("an escape sequence", "\x1b[31mred\x1b[0m \x1b]0;title\x07"),
    ("an end of script", "</script><script>document.title='taken'</script>"),
    ("markup", "<img src=x onerror=\"document.title='taken'\"><b id=query>&amp;</b>"),
    ("an end of a quoted attribute", "\" onfocus=\"document.title='taken'\" autofocus x='"),
    ("an end of style and pre", "</style></pre></details></main><h1>passed</h1>"),
    ("direction", "abc\u202edcba\u2066x\u2069\u200f\u061cend"), ("a comment", "<!-- <![CDATA[ ]]> -->"),
    ("broken UTF-8", "a\ufffdb\ufeff\uffff"),
]
# What keys do after the browser has come to rest shows in the page itself.
SHOWN = "return [...document.querySelectorAll('details.target')].filter(one => !one.hidden).length"
FOCUSED = "return document.activeElement.closest('details.target')?.querySelector('h3').textContent ?? ''"


@pytest.fixture
def twelve(make, browser):
    path = make(run.twelve())
    browser.open(path)
    return path


def press(browser, *keys):
    ActionChains(browser.driver).send_keys(*keys).perform()


def until(browser, script, value):
    WebDriverWait(browser.driver, PATIENCE).until(lambda _: browser.run(script) == value,
                                                  f"{script}: {browser.run(script)!r}, not {value!r}")


def check_peace(browser, path):
    """Nothing was loaded but the file, and the console has nothing to complain about."""
    assert browser.complaints() == []
    assert [url for url in browser.requests() if not url.startswith("data:")] == [f"file://{path}"]


def text_of(browser):
    return browser.run("return document.body.innerText")


def test_no_targets_say_that_nothing_ran(vmtest, browser, tmp_path):
    (tmp_path / "vmtest.toml").write_text('[[target]]\nname = "one"\nkernel = "k"\ncommand = "true"\n')
    subprocess.run([vmtest, "--shard", "2/2", "--report", "html=report.html"], cwd=tmp_path, check=True, timeout=PATIENCE,
                   capture_output=True)
    browser.open(tmp_path / "report.html")
    assert "nothing ran" in text_of(browser)
    assert "0 targets" in text_of(browser)
    assert browser.driver.title == "– nothing ran: vmtest"
    assert browser.run("return document.querySelectorAll('table, svg, details, input').length") == 0
    check_peace(browser, tmp_path / "report.html")


def test_the_table_has_kernels_by_tests_with_a_verdict_in_each_cell(twelve, browser):
    rows = browser.run("return [...document.querySelectorAll('table.matrix tr')].map(row => "
                       "[...row.cells].map(cell => cell.querySelector('.v')?.textContent ?? cell.textContent))")
    expected = {target["name"]: target["result"]["verdict"] for target in run.twelve()["targets"]}
    assert rows[0][0] == "kernel" and sorted(rows[0][1:]) == ["lsm", "tc", "xdp"]
    assert sorted(row[0] for row in rows[1:]) == run.KERNELS
    for kernel, *cells in rows[1:]:
        for test, cell in zip(rows[0][1:], cells):
            assert re.fullmatch(r"\S+ " + expected[f"load on {kernel}: {test}"], cell)
    assert browser.run("return [...document.querySelectorAll('th')].every(th => th.scope === 'row' || th.scope === 'col')")
    check_peace(browser, twelve)


def test_what_is_no_combination_of_the_list_is_said_in_its_cell(make, browser):
    targets = run.twelve()["targets"][:-1]
    browser.open(make(run.report(targets)))
    assert browser.run("return document.querySelectorAll('table.matrix td a').length") == 11
    assert browser.run("return [...document.querySelectorAll('td.none')].map(cell => cell.textContent)") == ["not in the list"]


@pytest.mark.parametrize("scripts", [True, False])
def test_a_verdict_leads_to_its_target_and_opens_it(make, browser, scripts):
    path = make(run.twelve())
    browser.open(path, scripts=scripts)
    link = next(link for link in browser.driver.find_elements("css selector", "table.matrix a")
                if "5.10.0-32-amd64: xdp" in link.get_attribute("aria-label"))
    link.click()
    opened = ("return [...document.querySelectorAll('details.target')].find(one => one.textContent.includes("
              "'output of load on vmlinuz-5.10.0-32-amd64: xdp')).open")
    until(browser, opened, True)
    browser.set(scripts=True)
    check_peace(browser, path)


def test_a_link_from_elsewhere_shows_its_target_below_the_bar(make, browser):
    path = make(run.twelve())
    for number in range(12):
        browser.open(path, fragment=f"#t{number}")
        until(browser, f"return document.getElementById('t{number}').closest('details').open", True)
        until(browser, "return document.readyState", "complete")
        visible = (f"const summary = document.getElementById('t{number}').closest('details').querySelector('summary');"
                   "const box = summary.getBoundingClientRect();"
                   "return summary.contains(document.elementFromPoint(box.x + 5, box.y + 5))")
        until(browser, visible, True)


def test_what_a_run_said_last_is_seen_first(make, browser):
    browser.open(make(run.report([run.target("one", "fail", output="line\n" * 500, console="row\n" * 500)])))
    ends = ("return [...document.querySelectorAll('details.tail[open] pre')].map(one => "
            "one.scrollHeight > one.clientHeight && one.scrollHeight - one.clientHeight - one.scrollTop < 2)")
    until(browser, ends, [True])
    (console,) = [one for one in browser.driver.find_elements("css selector", "details.tail > summary") if one.text == "Console"]
    console.click()
    until(browser, ends, [True, True])
    browser.run("document.querySelector('details.tail[open] pre').scrollTop = 0")
    output = browser.driver.find_element("css selector", "details.tail > summary")
    output.click()
    output.click()
    until(browser, ends, [False, True])


def test_a_list_fits_into_a_narrow_window(make, browser):
    targets = [run.target(f"test-{i} in debian12 on vmlinuz-6.12.30-amd64", "timeout" if i == 1 else "pass") for i in range(4)]
    browser.open(make(run.report(targets)), width=390)
    assert browser.run("return [...document.querySelectorAll('.scroll')].every(one => one.scrollWidth <= one.clientWidth)")


def test_kernels_stand_in_the_order_of_their_versions(make, browser):
    kernels = ["vmlinuz-5.10.1", "vmlinuz-6.1.0", "vmlinuz-6.6.0", "vmlinuz-6.12.0"]
    targets = [run.target(f"{test} on {kernel}", axes=[("kernel", kernel), ("test", test)])
               for kernel in kernels[::-1] for test in ("b", "a")]
    browser.open(make(run.report(targets)))
    assert browser.run("return [...document.querySelectorAll('.matrix tbody th')].map(one => one.textContent)") == kernels


def test_the_timeline_shows_each_target_on_its_slot_with_its_stages(twelve, browser):
    lanes = browser.run("""return [...document.querySelectorAll('.lane:not(.axis)')].map(lane => ({
        name: lane.querySelector('span').textContent,
        bars: [...lane.querySelectorAll('a')].map(bar => ({
            target: document.querySelector(bar.getAttribute('href')).closest('details').querySelector('h3').textContent,
            box: bar.querySelector('.s-other').getBoundingClientRect().toJSON(),
            lane: lane.querySelector('svg').getBoundingClientRect().toJSON(),
            stages: ['prepare', 'boot', 'setup', 'command'].map(stage =>
                bar.querySelector('.s-' + stage)?.getBoundingClientRect().width ?? 0)}))}))""")
    report = run.twelve()
    whole = report["summary"]["nsec"]
    by_name = {target["name"]: target for target in report["targets"]}
    assert [lane["name"] for lane in lanes] == ["slot 0", "slot 1"]
    assert sorted(bar["target"] for lane in lanes for bar in lane["bars"]) == \
        sorted(name for name, target in by_name.items() if target["end_nsec"])
    for slot, lane in enumerate(lanes):
        for bar in lane["bars"]:
            target = by_name[bar["target"]]
            assert target["slot"] == slot
            width = bar["lane"]["width"]
            assert bar["box"]["x"] - bar["lane"]["x"] == pytest.approx(width * target["start_nsec"] / whole, abs=1)
            length = width * (target["end_nsec"] - target["start_nsec"]) / whole
            assert bar["box"]["width"] == pytest.approx(length, abs=1)
            assert bar["stages"] == pytest.approx([length * part for part in (0.02, 0.3, 0.1, 0.58)], abs=1)
    assert browser.run("return document.querySelectorAll('.lane .s-attempt').length") == 1
    colours = browser.run("return ['prepare', 'boot', 'setup', 'command'].map(stage => "
                          "getComputedStyle(document.querySelector('.lane .s-' + stage)).fill)")
    assert len(set(colours)) == 4


def test_without_scripts_all_of_it_is_there_to_read(make, browser):
    path = make(run.twelve())
    browser.open(path, scripts=False, height=20000) # what is not on the screen is not laid out
    text = text_of(browser)
    browser.set(scripts=True)
    for target in run.twelve()["targets"]:
        assert target["name"] in text
    for words in ("Command failed with exit code: 3", "expected 3 packets, got 2", "veth_xdp_rcv_one+0x1b2",
                  "Blocked tasks", "io_schedule+0x46", "output of load on vmlinuz-5.10.0-32-amd64: tc", "boot 1.5 s",
                  "slot 1", "flaky: passed at attempt 2 of 3"):
        assert words in text, words
    assert not browser.driver.find_element("id", "tools").is_displayed()
    check_peace(browser, path)


def test_what_is_closed_opens_without_scripts(make, browser):
    browser.open(make(run.twelve()), scripts=False)
    target = next(one for one in browser.driver.find_elements("css selector", "details.target")
                  if "5.10.0-32-amd64: lsm" in one.text)
    target.find_element("css selector", "summary").click()
    (console,) = [one for one in target.find_elements("css selector", "details.tail > summary") if one.text == "Console"]
    console.click()
    assert "Run /init as init process" in target.text
    browser.set(scripts=True)


@pytest.mark.parametrize("words, found", [
    ("6.12.30-amd64: tc", ["load on vmlinuz-6.12.30-amd64: tc"]), # a name
    ("EXIT CODE: 3", ["load on vmlinuz-5.10.0-32-amd64: tc"]), # a reason
    ("xdp_prog not tainted", ["load on vmlinuz-6.1.0-44-amd64: lsm", "load on vmlinuz-6.1.0-44-amd64: tc"]), # a finding
    ("console of load on vmlinuz-7.0.2-amd64: lsm", ["load on vmlinuz-7.0.2-amd64: lsm"]),
    ("output of load on vmlinuz-7.0.2-amd64: tc", ["load on vmlinuz-7.0.2-amd64: tc"]),
    ("got 2", ["load on vmlinuz-5.10.0-32-amd64: tc"]), # a sub-result
    ("no such words", []),
])
def test_the_search_finds_names_reasons_findings_console_and_output(twelve, browser, words, found):
    press(browser, "/", words)
    until(browser, SHOWN, len(found))
    assert sorted(browser.run("return [...document.querySelectorAll('details.target:not([hidden]) h3')].map(one => "
                              "one.textContent)")) == found
    assert browser.run("return document.getElementById('shown').value") == f"{len(found)} of 12 shown"
    press(browser, Keys.ESCAPE)
    until(browser, SHOWN, 12)
    check_peace(browser, twelve)


def test_what_is_found_in_a_folded_part_is_unfolded_and_marked(twelve, browser):
    press(browser, "/", "console of load on vmlinuz-7.0.2-amd64: lsm")
    until(browser, SHOWN, 1)
    press(browser, Keys.ENTER)
    until(browser, FOCUSED, "load on vmlinuz-7.0.2-amd64: lsm")
    visible = ("return [...document.querySelectorAll('details.target:not([hidden]) pre')].some(one => "
               "one.textContent.includes('console of') && one.checkVisibility())")
    if not browser.run("return document.querySelector('details.target:not([hidden])').open"):
        press(browser, Keys.ENTER)
    until(browser, visible, True)
    until(browser, "return CSS.highlights.get('found')?.size", 1)


@pytest.mark.parametrize("chosen, count", [(["fail"], 1), (["fail", "panic"], 2), (["not-passed"], 8),
                                           (["pass", "flaky"], 4), (["not-passed", "pass"], 11)])
def test_boxes_choose_verdicts(twelve, browser, chosen, count):
    for verdict in chosen:
        browser.driver.find_element("css selector", f"#tools input[value={verdict}]").click()
    until(browser, SHOWN, count)
    dim = "return document.querySelectorAll('table.matrix a.dim').length"
    assert browser.run(dim) == 12 - count
    press(browser, Keys.ESCAPE)
    until(browser, SHOWN, 12)
    assert browser.run(dim) == 0


def test_keys_go_through_what_did_not_pass_and_open_it(twelve, browser):
    bad = browser.run("return [...document.querySelectorAll('details[data-not-passed] h3')].map(one => one.textContent)")
    assert len(bad) == 8
    seen = []
    for _ in bad:
        press(browser, "j")
        seen.append(browser.run(FOCUSED))
    assert seen == bad
    press(browser, "n")
    assert browser.run(FOCUSED) == bad[0]
    press(browser, "k")
    assert browser.run(FOCUSED) == bad[-1]
    press(browser, "p")
    assert browser.run(FOCUSED) == bad[-2]
    opened = "return document.activeElement.closest('details').open"
    before = browser.run(opened)
    press(browser, Keys.ENTER)
    assert browser.run(opened) is not before
    assert browser.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_letters_in_the_search_are_no_commands(twelve, browser):
    press(browser, "/", "jknp/")
    assert browser.run("return document.getElementById('query').value") == "jknp/"
    assert browser.run("return document.activeElement.id") == "query"


def test_all_is_reached_by_tab_and_the_first_stop_skips_to_the_targets(twelve, browser):
    wanted = browser.run("return [...document.querySelectorAll('summary, pre, input, table a, .skip, .scroll')]"
                         ".filter(one => one.checkVisibility()).length")
    reached = []
    for _ in range(wanted + 5):
        press(browser, Keys.TAB)
        place = browser.run("const one = document.activeElement; if (one === document.body || one.dataset.seen) return null;"
                            "one.dataset.seen = 1; return one.className")
        if place is None:
            break
        reached.append(place)
    assert reached[0] == "skip"
    assert len(reached) == wanted
    browser.driver.find_element("css selector", ".skip").send_keys(Keys.ENTER)
    assert browser.run("return location.hash") == "#h-targets"


CONTRAST = """
const luminance = (colour) => {
  const [r, g, b] = colour.match(/[0-9.]+/g).slice(0, 3).map(part => part / 255)
    .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ratio = (a, b) => {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
};
const behind = (element) => {
  for (let one = element; one; one = one.parentElement) {
    const colour = getComputedStyle(one).backgroundColor;
    if (!/, 0\\)$/.test(colour)) return colour;
  }
  return 'rgb(255, 255, 255)';
};
const low = [];
const note = (what, value) => { if (value < 4.5) low.push(what + ': ' + value.toFixed(2)); };
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  const element = node.parentElement;
  if (!node.data.trim() || !element.checkVisibility() || element.closest('svg')) continue;
  note(element.className + ' ' + node.data.slice(0, 20), ratio(getComputedStyle(element).color, behind(element)));
}
const fill = (selector) => getComputedStyle(document.querySelector(selector)).fill;
for (const stage of ['prepare', 'boot', 'setup', 'command', 'other'])
  note('bar of ' + stage, ratio(fill('.lane a text'), fill('.lane .s-' + stage)));
note('axis', ratio(fill('.axis text'), behind(document.querySelector('.axis'))));
note('placeholder', ratio(getComputedStyle(document.getElementById('query'), '::placeholder').color,
                          behind(document.getElementById('query'))));
return low;
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_both_schemes(make, browser, scheme):
    browser.open(make(run.twelve()), scheme=scheme)
    background = browser.run("return getComputedStyle(document.documentElement).backgroundColor")
    assert (min(map(int, re.findall("[0-9]+", background))) > 200) == (scheme == "light")
    assert browser.run(CONTRAST) == []


@pytest.mark.parametrize("width", [320, 390, 800, 1600])
def test_no_window_scrolls_sideways(make, browser, width):
    message = {"name": "s" * 300, "status": "fail", "message": "m" * 300, "output": "", "nsec": 0}
    long = run.target("n" * 300 + " " + "word " * 60, "error", output="o" * 3000, again="a" * 500, artifacts="d" * 300,
                      axes=[("x" * 300, "v" * 300), ("kernel", "k" * 300)], subresults=[message],
                      result={"reason": "r" * 300, "findings": [{"kind": "k" * 200, "title": "t" * 300, "text": "f" * 300}]},
                      attempts=[{"verdict": "error", "reason": "b" * 300, "start_nsec": 0, "end_nsec": 1}])
    browser.open(make(run.report([*run.twelve()["targets"], long])), width=width)
    assert browser.run("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_paper_has_no_tools_and_whole_tails(make, browser):
    browser.open(make(run.report([run.target("one", "fail", output="line\n" * 200)])), scheme="dark", media="print")
    assert not browser.driver.find_element("id", "tools").is_displayed()
    assert browser.run("return [...document.querySelectorAll('pre')].every(one => one.scrollHeight <= one.clientHeight + 2)")
    assert browser.run("return getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.run(CONTRAST) == []


@pytest.mark.parametrize("what, text", WORST, ids=[what for what, _ in WORST])
def test_a_guests_bytes_stay_text(make, browser, what, text):
    worst = run.target(
        "worst " + text, "fail", axes=[("kernel", text), ("test " + text, text)], console=text, output=text, again=text,
        artifacts=text, result={"reason": text, "kernel": text, "qemu": text, "tasks": text,
                                "findings": [{"kind": text, "title": text, "text": text}]},
        subresults=[{"name": text, "status": "fail", "message": text, "output": text, "nsec": 1}],
        attempts=[{"verdict": "error", "reason": text, "start_nsec": 0, "end_nsec": 1}])
    path = make(run.report([worst, run.target("other", axes=[("kernel", "k"), ("test " + text, "t")])]))
    browser.open(path)
    assert browser.driver.title == "✗ not passed: vmtest"
    assert browser.run("return document.querySelectorAll('img, b[id], h1').length") == 1
    assert browser.run("return [document.scripts.length, document.styleSheets.length]") == [1, 1]
    assert browser.run("return [...document.querySelectorAll('*')].every(one => [...one.attributes].every(attribute => "
                       "!/^on|^style$|^autofocus$/.test(attribute.name)))")
    assert browser.run("return document.querySelectorAll('details.target').length") == 2
    shown = browser.run("return document.documentElement.textContent")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]", shown)
    if "<" in text:
        assert browser.run("return [...document.querySelectorAll('pre')].filter(one => one.textContent.includes("
                           "arguments[0])).length", text) >= 3
    check_peace(browser, path)


@pytest.mark.parametrize("seed", [1, 2, 3, 8])
def test_reports_of_the_worst_guests_are_whole(vmtest, browser, tmp_path, seed):
    program = vmtest.removesuffix("vmtest") + "tests/unit/report-sample"
    done = subprocess.run([program, "html", str(seed), "400"], capture_output=True, check=True, timeout=PATIENCE)
    path = tmp_path / "report.html"
    path.write_bytes(done.stdout)
    browser.open(path)
    n_targets, n_not_passed, *_ = map(int, done.stderr.split())
    assert browser.run(SHOWN) == n_targets
    assert browser.run("return document.querySelectorAll('details[data-not-passed]').length") == n_not_passed
    assert browser.run("return document.body.lastElementChild.tagName") == "SCRIPT"
    assert browser.run("return document.querySelectorAll('details.target details.target').length") == 0
    check_peace(browser, path)


def test_five_hundred_targets_are_searched_and_none_is_open(make, browser):
    path = make(run.many())
    browser.open(path)
    assert browser.run(SHOWN) == 500
    assert browser.run("return document.querySelectorAll('details.target[open]').length") == 0
    assert browser.run("return document.querySelectorAll('table.matrix td a').length") == 500
    assert browser.run("return document.querySelectorAll('table.matrix tr').length") == 1 + 125
    assert browser.run("return document.querySelectorAll('table.list tbody tr').length") == 24
    assert browser.run("return document.querySelectorAll('.lane:not(.axis)').length") == 8
    press(browser, "/", "line 7 of 421")
    until(browser, SHOWN, 1)
    press(browser, Keys.ESCAPE)
    until(browser, SHOWN, 500)
    browser.driver.find_element("css selector", "#tools input[value=timeout]").click()
    until(browser, SHOWN, 4)
    check_peace(browser, path)


def test_a_file_is_the_same_for_the_same_run_and_names_no_other(make):
    path = make(run.twelve())
    first = path.read_bytes()
    assert make(run.twelve()).read_bytes() == first
    outside = re.sub(rb"xmlns='http://www.w3.org/2000/svg'", b"", first)
    assert not re.search(rb"https?://|@import|url\(|<link(?! rel=\"icon\" href=\"data:)", outside)
