"""One wrong thing at a time, and all at once: each is named with file, key and value."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from rebalancer.config import Config, check_folder, load
from rebalancer.errors import ConfigError, Problem
from rebalancer.execution.parameters import Leftover
from rebalancer.model.orders import TimeInForce
from rebalancer.model.records import Mode

GOOD = """
[portfolio]
name = "test"
mode = "paper"
base_currency = "USD"

[[sleeve]]
name = "one"
share = 0.6
universe = ["AAPL.STK.USD@IB", "MSFT.STK.USD@IB"]

[[sleeve]]
name = "two"
share = 0.4
universe = ["KO.STK.USD@IB"]
"""


def write(folder: Path, text: str = GOOD, name: str = "portfolio.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def problems(path: Path, environment: dict[str, str] | None = None) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        load(path, environment or {})
    return list(caught.value.problems)


def only(found: list[Problem]) -> Problem:
    assert len(found) == 1, "\n".join(str(each) for each in found)
    return found[0]


def one(folder: Path, text: str) -> Problem:
    return only(problems(write(folder, text)))


def test_a_small_file_is_enough(tmp_path: Path) -> None:
    config = load(write(tmp_path), {})
    assert config.name == "test"
    assert config.portfolio.mode is Mode.PAPER
    assert config.account_id == "PAPER-test"
    assert [each.id for each in config.instruments] == [
        "AAPL.STK.USD@IB",
        "KO.STK.USD@IB",
        "MSFT.STK.USD@IB",
    ]
    assert config.state_folder == tmp_path / "state" / "test"
    assert config.smtp is None


def test_numbers_with_a_point_are_exact_decimals(tmp_path: Path) -> None:
    # Three times 0.1 is 0.3 in decimals; in binary floats it is 0.30000000000000004.
    shares = "".join(
        f'[[sleeve]]\nname = "s{n}"\nshare = 0.1\nuniverse = ["KO.STK.USD@IB"]\n' for n in range(3)
    )
    text = GOOD.partition("[[sleeve]]")[0] + shares + "[risk]\nmax_order_weight = 0.1\n"
    config = load(write(tmp_path, text), {})
    assert sum(sleeve.share for sleeve in config.sleeves) == Decimal("0.3")
    assert config.risk.max_order_weight == Decimal("0.1")


@pytest.mark.parametrize("said", ["0.5", '"0.5"'])
def test_a_number_may_stand_in_quotes(tmp_path: Path, said: str) -> None:
    text = GOOD + f"[risk]\ndrawdown = {said}\nmax_order_notional = 10\n"
    config = load(write(tmp_path, text), {})
    assert config.risk.drawdown == Decimal("0.5")
    assert config.risk.max_order_notional == Decimal(10)


def test_an_unknown_key_is_named_with_the_nearest_known_one(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + "[risk]\nmax_order_wieght = 0.2\n")
    found = only(problems(path))
    assert found.file == str(path)
    assert (found.key, found.value) == ("risk.max_order_wieght", "0.2")
    assert found.message == "unknown key"
    assert "max_order_weight" in found.hint


@pytest.mark.parametrize(
    ("extra", "key", "hint"),
    [
        ("[rsik]\n", "rsik", "risk"),
        ("[risk]\nband_rule = 'edge'\n", "risk.band_rule", "[planning]"),
        ("[[instruments]]\n", "instruments", "instrument"),
    ],
)
def test_what_stands_in_the_wrong_place_is_sent_to_the_right_one(
    tmp_path: Path, extra: str, key: str, hint: str
) -> None:
    found = one(tmp_path, GOOD + extra)
    assert found.key == key
    assert hint in found.hint


@pytest.mark.parametrize(
    ("line", "value", "message"),
    [
        ("max_order_weight = 11", "11", "must be at most 10"),
        ("max_order_weight = 0", "0", "must be greater than 0"),
        ("max_order_weight = true", "true", "must be a number"),
        ('max_order_weight = "a lot"', '"a lot"', "must be a number"),
        ("max_order_weight = nan", "NaN", "must be a finite number"),
        ("max_orders_per_run = 1.5", "1.5", "must be a whole number"),
        ("max_orders_per_run = 0", "0", "must be at least 1"),
        ('allow_short = "no"', '"no"', "must be true or false"),
        ("quote_max_age_seconds = 1e999", "1E+999", "must be a finite number"),
        ("max_order_notional = []", "[]", "must be a number"),
        ("restart_window = 5", "5", "must be text in quotes"),
    ],
)
def test_a_value_out_of_type_or_range_is_named(
    tmp_path: Path, line: str, value: str, message: str
) -> None:
    found = one(tmp_path, GOOD + f"[risk]\n{line}\n")
    assert found.key == "risk." + line.partition(" ")[0]
    assert (found.value, found.message) == (value, message)


def test_a_choice_is_named_with_all_choices_and_the_nearest(tmp_path: Path) -> None:
    found = one(tmp_path, GOOD + '[planning]\nband_rule = "egde"\n')
    assert (found.key, found.value) == ("planning.band_rule", '"egde"')
    assert found.message == "must be one of target, edge, cheaper"
    assert "edge" in found.hint


def test_the_mode_has_no_default(tmp_path: Path) -> None:
    found = one(tmp_path, GOOD.replace('mode = "paper"', ""))
    assert (found.key, found.message) == ("portfolio.mode", "missing")
    assert found.hint == "choose paper | dry-run | live"


def test_replay_is_no_mode_of_a_file(tmp_path: Path) -> None:
    found = one(tmp_path, GOOD.replace('"paper"', '"replay"'))
    assert found.key == "portfolio.mode"
    assert "paper | dry-run | live" in found.hint


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    text = """
[portfolio]
name = "much too long"
base_currency = "dollars"
interval_minutes = 20
deadline_minutes = 18

[[sleeve]]
name = "One"
share = 0.7
universe = ["AAPL"]
generator = "signals/none.py"

[[sleeve]]
name = "two"
share = 0.7
universe = []
speed = 3

[planning]
leverage_cap = 3
"""
    keys = {each.key for each in problems(write(tmp_path, text))}
    assert keys == {
        "portfolio.name",
        "portfolio.mode",
        "portfolio.base_currency",
        "portfolio.deadline_minutes",
        "sleeve[0].name",
        "sleeve[0].universe[0]",
        "sleeve[0].generator",
        "sleeve[1].universe",
        "sleeve[1].speed",
        "sleeve.share",
        "planning.leverage_cap",
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[portfolio\n", "is not TOML"),
        ('[portfolio]\nname = "a"\nname = "b"\n', "is not TOML"),
        ("a = " + "[" * 20_000, "is not TOML"),
    ],
)
def test_what_is_not_toml_is_said_so(tmp_path: Path, text: str, words: str) -> None:
    found = one(tmp_path, text)
    assert words in found.message


def test_a_missing_file_points_to_init(tmp_path: Path) -> None:
    found = only(problems(tmp_path / "none.toml"))
    assert "no such file" in found.message
    assert "rebalancer init" in found.hint


def test_bytes_that_are_not_text_are_said_so(tmp_path: Path) -> None:
    path = tmp_path / "portfolio.toml"
    path.write_bytes(b'[portfolio]\nname = "\xff"\n')
    assert "not UTF-8" in only(problems(path)).message


@pytest.mark.parametrize(
    "text",
    [
        "risk = 5\n",
        "risk = [1]\n",
        "sleeve = 3\n",
        "sleeve = []\n",
        "portfolio = []\n",
        "[risk.daily_loss]\n",
    ],
)
def test_a_table_of_the_wrong_shape_is_a_problem_and_no_traceback(
    tmp_path: Path, text: str
) -> None:
    assert problems(write(tmp_path, text))


def test_sleeves_have_names_of_their_own(tmp_path: Path) -> None:
    found = one(tmp_path, GOOD.replace('"two"', '"one"'))
    assert found.key == "sleeve[1].name"
    assert "sleeve[0]" in found.message


def test_shares_add_up_to_one_at_most(tmp_path: Path) -> None:
    found = one(tmp_path, GOOD.replace("0.4", "0.41"))
    assert (found.key, found.value) == ("sleeve.share", "1.01")


def test_a_short_name_stands_for_an_instrument(tmp_path: Path) -> None:
    text = GOOD.replace('"KO.STK.USD@IB"', '"COKE"') + '[aliases]\nCOKE = "KO.STK.USD@IB"\n'
    config = load(write(tmp_path, text), {})
    assert config.sleeves[1].universe == ("KO.STK.USD@IB",)


def test_a_mistyped_short_name_has_a_hint(tmp_path: Path) -> None:
    text = GOOD.replace('"KO.STK.USD@IB"', '"COKEE"') + '[aliases]\nCOKE = "KO.STK.USD@IB"\n'
    found = one(tmp_path, text)
    assert (found.key, found.value) == ("sleeve[1].universe[0]", '"COKEE"')
    assert "COKE" in found.hint


def test_an_instrument_stands_once_in_a_sleeve(tmp_path: Path) -> None:
    text = GOOD.replace('["KO.STK.USD@IB"]', '["KO.STK.USD@IB", "KO.STK.USD@IB"]')
    found = one(tmp_path, text)
    assert found.key == "sleeve[1].universe[1]"


def test_two_sleeves_may_share_an_instrument(tmp_path: Path) -> None:
    config = load(write(tmp_path, GOOD.replace("KO.STK", "AAPL.STK")), {})
    assert len(config.instruments) == 2


def test_a_plug_in_is_a_file_that_exists(tmp_path: Path) -> None:
    (tmp_path / "signals").mkdir()
    (tmp_path / "signals" / "momentum.py").touch()
    text = GOOD.replace('name = "one"', 'name = "one"\ngenerator = "signals/momentun.py"')
    found = one(tmp_path, text)
    assert found.key == "sleeve[0].generator"
    assert "signals/momentum.py" in found.hint
    assert load(write(tmp_path, text.replace("momentun", "momentum")), {}).sleeves[0].generator


def test_a_generators_parameters_are_plain(tmp_path: Path) -> None:
    text = GOOD + '[sleeve.parameters]\nspeed = 0.5\nnames = ["a"]\nweights = { A = 1.5 }\n'
    config = load(write(tmp_path, text), {})
    assert config.sleeves[1].parameters == {
        "speed": 0.5,
        "names": ["a"],
        "weights": {"A": 1.5},
    }
    assert type(config.sleeves[1].parameters["speed"]) is float
    found = one(tmp_path, GOOD + "[sleeve.parameters]\nday = 2020-03-02\n")
    assert found.key == "sleeve[1].parameters.day"


def test_the_deadline_leaves_five_minutes_of_the_interval(tmp_path: Path) -> None:
    text = GOOD.replace("[[sleeve]]", "interval_minutes = 30\ndeadline_minutes = 26\n[[sleeve]]", 1)
    assert one(tmp_path, text).key == "portfolio.deadline_minutes"
    config = load(write(tmp_path, text.replace("= 26", "= 25")), {})
    assert config.portfolio.deadline_minutes == 25


@pytest.mark.parametrize("window", ["23:40-00:10", "23:40-25:10 UTC", "23:40-00:10 Mars/Olympus"])
def test_the_restart_window_names_times_and_a_zone(tmp_path: Path, window: str) -> None:
    found = one(tmp_path, GOOD + f'[risk]\nrestart_window = "{window}"\n')
    assert (found.key, found.value) == ("risk.restart_window", f'"{window}"')
    long = GOOD + f'[risk]\nrestart_window = "{window}{"a" * 5000}"\n'
    assert len(str(one(tmp_path, long))) < 500
    good = GOOD + '[risk]\nrestart_window = "23:40-00:10 America/New_York"\n'
    assert load(write(tmp_path, good), {}).risk.restart_window.endswith("New_York")


def test_fees_are_known_by_name_and_price(tmp_path: Path) -> None:
    assert "ib-fixed" in one(tmp_path, GOOD + '[fees]\nschedule = "ib-fixd"\n').hint
    found = one(tmp_path, GOOD + '[fees]\nschedule = "ib-fixed"\nprices = { minimun = 2 }\n')
    assert found.key == "fees.prices.minimun"
    text = GOOD + '[fees]\nschedule = "ib-fixed"\nprices = { minimum = 2 }\n'
    assert load(write(tmp_path, text), {}).fees.prices == {"minimum": Decimal(2)}


def test_one_account_trades_at_one_venue(tmp_path: Path) -> None:
    found = one(tmp_path, GOOD.replace("KO.STK.USD@IB", "BTCUSDT.SPOT@BINANCE"))
    assert (found.key, found.value) == ("sleeve.universe", '"@BINANCE, @IB"')


def test_a_time_needs_a_zone(tmp_path: Path) -> None:
    found = one(tmp_path, GOOD + "[paper]\nstart = 2020-03-02T14:30:00\n")
    assert found.key == "paper.start"
    assert "zone" in found.message


def test_a_mail_server_needs_sender_and_recipients(tmp_path: Path) -> None:
    keys = [each.key for each in problems(write(tmp_path, GOOD + '[mail]\nhost = "h"\n'))]
    assert keys == ["mail.sender", "mail.recipients"]
    found = one(tmp_path, GOOD + '[mail]\nsender = "me@example.com"\n')
    assert found.key == "mail.host"


@pytest.mark.parametrize("address", ["nobody", "a@b c", "a@b\\nBcc: x@y"])
def test_a_mail_address_looks_like_one(tmp_path: Path, address: str) -> None:
    mail = f'[mail]\nhost = "h"\nsender = "me@example.com"\nrecipients = ["{address}"]\n'
    assert one(tmp_path, GOOD + mail).key == "mail.recipients"


# ------------------------------------------------------------------------------- live trading

LIVE = """
[portfolio]
name = "test"
mode = "live"
base_currency = "USD"

[account]
venue = "ib"
id = "U1234567"
client_id = 7
armed = "U1234567"
net_liquidation_min = 1000
net_liquidation_max = 2000

[[sleeve]]
name = "one"
share = 1
universe = ["AAPL.STK.USD@IB"]
"""


def test_an_account_at_interactive_brokers_is_read_whole(tmp_path: Path) -> None:
    config = load(write(tmp_path, LIVE), {})
    assert config.portfolio.mode is Mode.LIVE
    assert config.account_id == config.account_key == "U1234567"
    assert config.account.client_id == 7
    paper = load(write(tmp_path, LIVE.replace('"live"', '"paper"').replace("U1", "DU1")), {})
    assert paper.portfolio.mode is Mode.PAPER


BINANCE = """
[portfolio]
name = "coins"
mode = "live"
base_currency = "USDT"
calendar = "24/7"

[account]
venue = "binance"
id = "123456789"
armed = "123456789"
net_liquidation_min = 1000
net_liquidation_max = 2000

[binance]
leverage = 3

[[sleeve]]
name = "one"
share = 1
universe = ["BTCUSDT.PERP@BINANCE", "ETHUSDT.PERP@BINANCE"]
"""


def test_an_account_at_binance_is_read_whole(tmp_path: Path) -> None:
    keys = {"REBALANCER_BINANCE_API_KEY": "a-key", "REBALANCER_COINS_BINANCE_API_SECRET": "hidden"}
    config = load(write(tmp_path, BINANCE), keys)
    assert config.real_money
    assert config.account_key == "123456789-usdm"
    assert config.binance.leverage == 3
    assert config.planning.time_in_force is TimeInForce.GTD
    assert config.fees.schedule == "binance-usdm"
    words = config.passwords
    assert words.binance_key is not None and words.binance_key.reveal() == "a-key"
    assert words.binance_secret is not None and words.binance_secret.reveal() == "hidden"
    assert "123" not in repr(words)


def test_what_the_file_says_goes_before_the_defaults_of_the_venue(tmp_path: Path) -> None:
    said = BINANCE + '[planning]\ntime_in_force = "GTC"\n[fees]\nschedule = "none"\n'
    config = load(write(tmp_path, said), {})
    assert config.planning.time_in_force is TimeInForce.GTC
    assert config.fees.schedule == "none"


def test_spot_and_perpetuals_of_one_account_are_two_wallets(tmp_path: Path) -> None:
    spot = BINANCE.replace(".PERP", ".SPOT").replace('"coins"', '"spots"')
    paths = [write(tmp_path, BINANCE, "a.toml"), write(tmp_path, spot, "b.toml")]
    assert [each.account_key for each in check_folder(paths, {})] == [
        "123456789-usdm",
        "123456789-spot",
    ]
    assert load(paths[1], {}).execution.leftover is Leftover.CANCEL
    both = [paths[0], write(tmp_path, BINANCE.replace('"coins"', '"others"'), "c.toml")]
    with pytest.raises(ConfigError, match=r"account\.id"):
        check_folder(both, {})


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        ('"24/7"', '"XNYS"', "portfolio.calendar"),
        ("ETHUSDT.PERP", "ETHUSDT.SPOT", "sleeve.universe"),
        ("leverage = 3", "demo = true", "binance.demo"),
        ('mode = "live"', 'mode = "paper"', "portfolio.mode"),
        ("leverage = 3", "leverage = 0", "binance.leverage"),
        ("[binance]", '[paper]\ntransport = "engine"\n[binance]', "paper.transport"),
        ('id = "123456789"\n', "", "account.id"),
    ],
)
def test_an_account_at_binance_must_fit_together(
    tmp_path: Path, before: str, after: str, key: str
) -> None:
    assert key in {each.key for each in problems(write(tmp_path, BINANCE.replace(before, after)))}


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        ('armed = "U1234567"', "", "account.armed"),
        ('armed = "U1234567"', 'armed = "u1234567"', "account.armed"),
        ("net_liquidation_min = 1000", "", "account.net_liquidation_min"),
        ("net_liquidation_min = 1000", "net_liquidation_min = 2000", "account.net_liquidation_min"),
        ("client_id = 7", "", "account.client_id"),
        ('mode = "live"', 'mode = "paper"', "account.id"),
    ],
)
def test_live_needs_everything_that_proves_the_account(
    tmp_path: Path, before: str, after: str, key: str
) -> None:
    found = {each.key for each in problems(write(tmp_path, LIVE.replace(before, after)))}
    assert found == {key}


@pytest.mark.parametrize("account", ["DU1234567", "DF123", "du99"])
def test_a_paper_account_is_never_live(tmp_path: Path, account: str) -> None:
    found = one(tmp_path, LIVE.replace("U1234567", account))
    assert found.key == "account.id"
    assert "paper account" in found.message


def test_a_simulated_account_is_never_live(tmp_path: Path) -> None:
    found = problems(write(tmp_path, LIVE.replace('"ib"', '"simulated"')))
    assert [each.key for each in found] == ["portfolio.mode"]


def test_the_range_of_worth_has_two_ends(tmp_path: Path) -> None:
    found = one(tmp_path, GOOD + "[account]\nnet_liquidation_max = 5\n")
    assert found.key == "account.net_liquidation_min"
    config = load(
        write(tmp_path, GOOD + "[account]\nnet_liquidation_min = 1\nnet_liquidation_max = 5\n"), {}
    )
    assert config.net_liquidation_range == (Decimal(1), Decimal(5))


# ------------------------------------------------------------------------------- many files


def named(name: str, account: str) -> str:
    return GOOD.replace('"test"', f'"{name}"') + account


def together(folder: Path, first: str, second: str) -> list[str]:
    paths = [write(folder, first, "a.toml"), write(folder, second, "b.toml")]
    with pytest.raises(ConfigError) as caught:
        check_folder(paths, {})
    assert {each.file for each in caught.value.problems} == {str(paths[1])}
    return [each.key for each in caught.value.problems]


def test_two_portfolios_live_beside_each_other(tmp_path: Path) -> None:
    paths = [
        write(tmp_path, named("a", ""), "a.toml"),
        write(tmp_path, named("b", ""), "b.toml"),
    ]
    assert [config.name for config in check_folder(paths, {})] == ["a", "b"]


def test_two_files_with_one_account_are_refused(tmp_path: Path) -> None:
    account = '[account]\nid = "X1"\n'
    assert together(tmp_path, named("a", account), named("b", account)) == ["account.id"]


def test_two_files_with_one_client_id_are_refused(tmp_path: Path) -> None:
    account = "[account]\nclient_id = 3\n"
    assert together(tmp_path, named("a", account), named("b", account)) == ["account.client_id"]


def test_two_files_with_one_state_folder_are_refused(tmp_path: Path) -> None:
    keys = together(tmp_path, named("a", ""), named("a", '[account]\nid = "X1"\n'))
    assert keys == ["portfolio.name"]


def test_every_problem_of_every_file_is_told(tmp_path: Path) -> None:
    paths = [
        write(tmp_path, GOOD.replace('"paper"', '"papr"'), "a.toml"),
        write(tmp_path, GOOD.replace("0.6", "6"), "b.toml"),
    ]
    with pytest.raises(ConfigError) as caught:
        check_folder(paths, {})
    assert [Path(each.file).name for each in caught.value.problems] == ["a.toml", "b.toml"]


def test_the_example_of_binance_is_right_as_it_stands() -> None:
    example = Path(__file__).resolve().parents[3] / "portfolio.binance.example.toml"
    config = load(example, {})
    assert config.portfolio.mode is Mode.PAPER
    assert len(config.instruments) == 9
    assert config.at_binance and not config.real_money
    assert example.is_symlink()


def test_the_example_is_right_as_it_stands() -> None:
    example = Path(__file__).resolve().parents[3] / "portfolio.example.toml"
    config: Config = load(example, {})
    assert config.portfolio.mode is Mode.PAPER
    assert len(config.instruments) == 25
    assert [sleeve.share for sleeve in config.sleeves] == [Decimal("0.6"), Decimal("0.4")]
    assert example.is_symlink()
