from typing import Any

import pytest
from pydantic import ValidationError

from tokenpace.prometheus.settings import PrometheusSettings


@pytest.mark.parametrize(
    ("setting", "cure"),
    [
        ({"url": "prometheus:9090"}, "must be an address such as http://"),
        ({"url": "file:///etc/passwd"}, "must be an address such as http://"),
        ({"url": "http://user:word@prometheus"}, "use a token file or a header"),
        ({"url": "http://prometheus/?query=up"}, "the operator adds the query"),
        ({"headers": {"X Y": "a"}}, "`X Y` is no name of an HTTP header"),
        ({"headers": {"X": "a\r\nHost: b"}}, "`X` must be printable ASCII"),
        ({"namespace_label": 'a="b"'}, "String should match pattern"),
        ({"pod_label": ""}, "String should match pattern"),
        ({"extra_matchers": {'a="b",c': "d"}}, "String should match pattern"),
        ({"window_seconds": 1}, "greater than or equal to 5"),
        ({"timeout_seconds": 0}, "greater than or equal to 1"),
    ],
)
def test_bad_input_names_the_setting_and_the_cure(setting: dict[str, Any], cure: str) -> None:
    with pytest.raises(ValidationError) as caught:
        PrometheusSettings(**setting)
    (error,) = caught.value.errors()
    assert error["loc"][0] in setting
    assert cure in error["msg"]


def test_a_slash_at_the_end_of_the_address_does_not_matter() -> None:
    assert PrometheusSettings(url="https://metrics.example/select/").url == "https://metrics.example/select"


def test_the_values_of_headers_are_not_shown() -> None:
    settings = PrometheusSettings.model_validate({"headers": {"Authorization": "Basic hunter2"}})
    assert "hunter2" not in repr(settings)
