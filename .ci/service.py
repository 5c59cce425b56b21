"""Checks `chorus serve` over HTTP, as a client meets it; `.ci/service` calls it.

Same bytes as `chorus predict`, of series and of tables; rows that are forgotten; kill -9 and restart; SIGTERM; keys; clients that go,
dawdle or send too much; overload. With what `.ci/service` installs from PyPI: the OpenAPI document is valid, Schemathesis finds no
request that fails inside or is answered in a form that the document does not have, and tritonclient and KServe's client pass.

Every wait has an end: a server that does not start, answer or go is killed, and its log is shown.
"""
import asyncio
import concurrent.futures
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

PROGRAM = os.path.realpath(sys.argv[1])
TABLE, NEW = (os.path.realpath(f"Examples/{name}.csv") for name in ("penguins", "penguins-new"))
ROWS = os.path.realpath("Examples/mcycle.csv")
QUESTION = json.dumps({"at": "0..60/5", "seed": 3})
CSV = {"accept": "text/csv"}


# Seconds that a server may take to start, to be where it is waited for, or to end, on a machine that others use as well.
PATIENCE = 120


def until(holds, what, seconds=PATIENCE):
    """Waits for something, but not without end."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} is waited for, for {seconds} s")
        time.sleep(0.02)


def told(*arguments):
    """What `chorus` writes, with as many digits as the service."""
    digits = ("--digits", "all") if arguments[0] == "predict" else ()
    return subprocess.run([PROGRAM, *arguments, *digits], capture_output=True, check=True, timeout=PATIENCE).stdout


class Server:
    all = []

    def __init__(self, *options):
        # Into a file: nobody has to read it for the server to go on.
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([PROGRAM, "serve", "--port", "0", *options], stderr=self.log, stdin=subprocess.DEVNULL)
        Server.all.append(self)
        until(lambda: self.process.poll() is not None or "http://" in self.logged(), "the server's start")
        found = re.search(r"http://[^ ]*:(\d+)", self.logged())
        assert found, f"the server ended with {self.process.poll()}"
        self.port = int(found[1])

    def logged(self):
        # Past the place at which the server writes, which has an end of its own for the same file.
        return os.pread(self.log.fileno(), 1 << 24, 0).decode(errors="replace")

    def ask(self, method, path, body=None, headers={}, timeout=60):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        result = answer.status, answer.read(), dict(answer.getheaders())
        connection.close()
        return result

    def keep(self, headers={}, rows=ROWS, query="input=times&target=accel"):
        with open(rows, "rb") as file:
            status, body, _ = self.ask(
                "POST", "/v1/contexts?" + query, file.read(), {"content-type": "text/csv", **headers})
        assert status == 201, body
        return json.loads(body)["id"]

    def metric(self, name):
        _, body, _ = self.ask("GET", "/metrics")
        return float(re.search(rf"^{name} (.*)$", body.decode(), re.M)[1])

    def send(self, text, seconds):
        """What comes back for bytes that are sent as they are."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            connection.sendall(text)
            return connection.recv(100)

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.wait(PATIENCE)

    @classmethod
    def abandon(cls):
        """Kills those that are left, and tells what each said last."""
        for server in cls.all:
            if server.process.poll() is None:
                server.process.kill()
                server.process.wait(PATIENCE)
                print(f"the log of the server at {server.port}:\n" + "\n".join(server.logged().splitlines()[-30:]), file=sys.stderr)


def check(name, holds, what=""):
    print(("ok   " if holds else "FAIL ") + name + (f": {what}" if not holds else ""))
    check.failed += not holds


check.failed = 0


def attempt(checks, *arguments):
    """Checks that others do not need: where one breaks off, those go on."""
    try:
        checks(*arguments)
    except Exception as error:
        traceback.print_exc()
        check(f"{checks.__name__} broke off", False, repr(error))


def groups(server, new):
    """A table for each group of its rows."""
    place = f"/v1/contexts/{server.keep(rows=TABLE, query='target=body_mass_g&group=island')}"
    expected = told("predict", TABLE, "--target", "body_mass_g", "--group", "island", "--at-file", NEW, "--seed", "3", "-q")
    _, body, _ = server.ask("POST", place + "/marginals?seed=3", new, {"content-type": "text/csv", **CSV})
    check("a table for each group: the same bytes as chorus predict --group", body == expected, body)


def tensors(server):
    """The Open Inference Protocol, as NVIDIA's client speaks it."""
    try:
        import numpy
        import tritonclient.http as triton
    except ImportError:
        print("     tritonclient has not asked: it is not installed")
        return
    client = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
    check("tritonclient: ready", client.is_server_live() and client.is_server_ready() and client.is_model_ready("functions"))
    names = {tensor["name"] for tensor in client.get_model_metadata("functions")["inputs"]}
    check("tritonclient: metadata", names == {"x", "y", "points"}, names)
    x = numpy.linspace(0, 6, 40)
    inputs = []
    for name, values in [("x", x), ("y", numpy.sin(x)), ("points", numpy.array([6.2, 6.4]))]:
        tensor = triton.InferInput(name, values.shape, "FP64")
        tensor.set_data_from_numpy(values, binary_data=False)
        inputs.append(tensor)
    outputs = [triton.InferRequestedOutput(name, binary_data=False) for name in ("paths", "mean")]
    answers = [
        client.infer("functions", inputs, outputs=outputs, parameters={"samples": 20, "seed": 1}).as_numpy("paths")
        for _ in range(2)]
    check("tritonclient: paths, the same each time", answers[0].shape == (20, 2) and (answers[0] == answers[1]).all())
    for tensor, values in zip(inputs, [x, numpy.sin(x), numpy.array([6.2, 6.4])]):
        tensor.set_data_from_numpy(values)
    plain = client.infer("functions", inputs, parameters={"samples": 20, "seed": 1}).as_numpy("paths")
    check("tritonclient: tensors as bytes, which is its default", (plain == answers[0]).all(), plain)
    error = abs(answers[0].mean(0) - numpy.sin([6.2, 6.4])).max()
    check("tritonclient: a wave goes on", error < 0.15, error)
    try:
        client.infer("functions", inputs[:2])
        check("tritonclient: told what is missing", False, "it was answered")
    except triton.InferenceServerException as problem:
        check("tritonclient: told what is missing", "'points' is missing" in str(problem), problem)


def kserve(server):
    """KServe's own client for tensors, and its own types for forecasts, for which it has no client."""
    try:
        import httpx
        import numpy
        from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
        from kserve.protocol.rest.timeseries import types
    except ImportError as reason:
        print(f"     KServe's client has not asked: {reason}")
        return
    base = f"http://127.0.0.1:{server.port}"
    x = numpy.linspace(0, 6, 40)
    inputs = []
    for name, values in [("x", x), ("y", numpy.sin(x)), ("points", numpy.array([6.2, 6.4]))]:
        inputs.append(InferInput(name, list(values.shape), "FP64"))
        inputs[-1].set_data_from_numpy(values, binary_data=False)

    async def ask():
        async with InferenceRESTClient(RESTConfig(protocol="v2", timeout=PATIENCE)) as client:
            ready = [await client.is_server_live(base), await client.is_server_ready(base),
                     await client.is_model_ready(base, "functions"), not await client.is_model_ready(base, "nothing")]
            request = InferRequest("functions", inputs, parameters={"samples": 20, "seed": 1})
            answer = await client.infer(base, request, model_name="functions")
            try:
                await client.infer(base, InferRequest("functions", inputs[:2]), model_name="functions")
                problem = "it was answered"
            except httpx.HTTPStatusError as error:
                problem = str(error)
            return ready, {output.name: output.as_numpy() for output in answer.outputs}, problem

    ready, outputs, problem = asyncio.run(ask())
    check("KServe's client: ready", all(ready), ready)
    error = abs(outputs["mean"] - numpy.sin([6.2, 6.4])).max()
    check("KServe's client: a wave goes on", outputs["paths"].shape == (20, 2) and error < 0.15, error)
    check("KServe's client: told what is missing", "'points' is missing" in problem, problem)

    wave = [float(value) for value in numpy.sin(numpy.arange(36) / 2)]
    series = types.TimeSeriesInput(
        type="univariate_time_series", name="a", series=wave, frequency="M", start_timestamp="2020-01-01T00:00:00")
    asked = types.ForecastRequest(
        model="functions", inputs=[series], options=types.ForecastOptions(horizon=4, quantiles=[0.1, 0.9]))
    send = lambda request: server.ask(
        "POST", "/v1/timeseries/forecast", request.model_dump_json(), {"content-type": "application/json"})
    status, body, _ = send(asked)
    check("KServe's forecast: answered", status == 200, body)
    forecast = types.ForecastResponse.model_validate_json(body).outputs[0].content[0]
    check("KServe's forecast: its own types read it", forecast.start_timestamp.startswith("2023-01-01")
          and len(forecast.mean_forecast) == 4 and set(forecast.quantiles) == {"0.1", "0.9"}, body)
    status, body, _ = send(asked.model_copy(update={"model": "nothing"}))
    refusal = types.ErrorResponse.model_validate_json(body).error
    check("KServe's forecast: told what is wrong", status == 404 and refusal.code == "404", body)


def schema(folder):
    """Requests that the OpenAPI document allows, and some that it does not."""
    tool = os.path.join(os.path.dirname(sys.executable), "schemathesis")
    if not os.path.exists(tool):
        print("     Schemathesis has not asked: it is not installed")
        return
    # What a question may cost, and how long it may take, is the server's to say: a little, here.
    server = Server("--deadline", "10", "--flop-limit", "2e10", "--most-contexts", "200")
    server.keep()
    server.keep(rows=TABLE, query="target=species,body_mass_g")
    start = time.time()
    found = subprocess.run(
        [tool, "run", f"http://127.0.0.1:{server.port}/openapi.json", "--phases", "coverage,fuzzing", "--mode", "all",
         "--max-examples", "5", "--seed", "1", "--workers", "1", "--no-color", "--suppress-health-check", "all",
         "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
         "response_headers_conformance,ignored_auth"],
        capture_output=True, text=True, cwd=folder, timeout=1200)
    check(f"Schemathesis, {time.time() - start:.0f} s", found.returncode == 0, found.stdout[-6000:])
    check("the server lives on", server.ask("GET", "/healthz")[0] == 200)
    check("ends after Schemathesis", server.end() == 0)


def everything(folder):
    data = folder + "/contexts"
    server = Server("--data", data)
    context = server.keep()
    place = f"/v1/contexts/{context}"

    expected = told("predict", ROWS, "--input", "times", "--target", "accel", "--at", "0..60/5", "--seed", "3", "-q")
    _, body, headers = server.ask("POST", place + "/marginals", QUESTION, CSV)
    check("the same bytes as chorus predict", body == expected, body)
    check("the type of the answer", headers["content-type"].startswith("text/csv"), headers)
    check("health", server.ask("GET", "/healthz")[0] == 200 and server.ask("GET", "/readyz")[0] == 200)

    document = json.loads(server.ask("GET", "/openapi.json")[1])
    try:
        import openapi_spec_validator
        openapi_spec_validator.validate(document)
        check("the OpenAPI document is valid", True)
    except ImportError:
        print("     the OpenAPI document is not validated: no package openapi-spec-validator")

    table = f"/v1/contexts/{server.keep(rows=TABLE, query='target=species,body_mass_g')}"
    expected = told("predict", TABLE, "--target", "species,body_mass_g", "--at-file", NEW, "--seed", "3", "-q",
                    "--output", folder + "/paths.csv")
    with open(NEW, "rb") as file:
        new = file.read()
    ask_table = lambda what: server.ask("POST", f"{table}/{what}?seed=3", new, {"content-type": "text/csv", **CSV})[1]
    check("a table: the same bytes as chorus predict", ask_table("marginals") == expected, ask_table("marginals"))
    with open(folder + "/paths.csv", "rb") as file:
        check("a table: the same paths", ask_table("sample") == file.read())

    attempt(groups, server, new)

    with open(ROWS) as file:
        lines = file.readlines()
    with open(folder + "/rest.csv", "w") as file:
        file.writelines(lines[:1] + lines[21:])
    forgetful = f"/v1/contexts/{server.keep()}"
    status, body, _ = server.ask("DELETE", forgetful + "/rows?oldest=20")
    check("rows are forgotten", status == 200 and json.loads(body)["rows"] == len(lines) - 21, body)
    rest = told("predict", folder + "/rest.csv", "--input", "times", "--target", "accel", "--at", "0..60/5", "--seed", "3", "-q")
    check("what stays is as if it had come alone", server.ask("POST", forgetful + "/marginals", QUESTION, CSV)[1] == rest)
    attempt(tensors, server)
    attempt(kserve, server)

    head = b"POST /v1/contexts HTTP/1.1\r\nhost: localhost\r\n"
    check("10 GB are refused before they are sent",
          b" 413 " in server.send(head + b"content-length: 10000000000\r\n\r\n", 5))
    check("large headers", b" 400 " in server.send(head + b"x: " + b"a" * 60000 + b"\r\n\r\n", 5))
    check("no HTTP at all", b" 400 " in server.send(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 5))
    check("another host", b" 403 " in server.send(b"GET /v1/contexts HTTP/1.1\r\nhost: example.org\r\n\r\n", 5))
    check("a path out of the tree", server.ask("GET", "/v1/contexts/..%2f..%2fetc")[0] == 404)
    for status, path, sent in [
        (400, place + "/sample", "{"), (422, place + "/sample", "{}"), (404, "/v1/contexts/" + "0" * 32 + "/sample", QUESTION),
        (405, "/healthz", ""), (422, "/v1/contexts", '{"rows":[{"a":1}]}'), (405, "/", ""),
    ]:
        found = server.ask("POST", path, sent)[0]
        check(f"{status} for {path.replace(context, 'ID')} {sent[:20]}", found == status, found)

    half = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(200)]
    for connection in half:
        connection.sendall(b"POST /v1/contexts HTTP/1.1\r\nhost:")
    check("200 connections that say half a request", server.ask("GET", "/healthz", timeout=5)[0] == 200)
    for connection in half:
        connection.close()

    long = json.dumps({"at": "0..60/0.1", "samples": 1000})
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    connection.request("POST", place + "/sample", long)
    until(lambda: server.metric("chorus_queue_running") > 0, "work that is begun")
    connection.close()
    until(lambda: server.metric("chorus_queue_running") == 0, "work that is stopped")
    check("work for a client that went is stopped", server.metric("chorus_requests_cancelled_total") == 1)

    def all_kept():
        return [server.ask("POST", place + "/sample", QUESTION), ask_table("sample"),
                server.ask("POST", forgetful + "/sample", QUESTION)]
    before = [answer if isinstance(answer, bytes) else answer[:2] for answer in all_kept()]
    server.end(signal.SIGKILL)
    server = Server("--data", data)
    after = [answer if isinstance(answer, bytes) else answer[:2] for answer in all_kept()]
    check("killed and started again it answers with the same bytes", before == after)
    check("deletes", server.ask("DELETE", place)[0] == 204 and server.ask("GET", place)[0] == 404)

    place = f"/v1/contexts/{server.keep()}"
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        working = pool.submit(server.ask, "POST", place + "/sample", json.dumps({"at": "0..60/1", "samples": 300}))
        until(lambda: server.metric("chorus_queue_running") > 0, "work that is begun")
        code = server.end()
        check("SIGTERM: what was taken is answered", working.result(PATIENCE)[0] == 200)
        check("SIGTERM: exit code", code == 0, code)

    attempt(schema, folder)

    with open(folder + "/keys", "w") as file:
        file.write("one aaaaaaaaaaaaaaaaaaaa\ntwo bbbbbbbbbbbbbbbbbbbb\n")
    server = Server("--keys", folder + "/keys", "--waiting", "2")
    one, two = ({"authorization": "Bearer " + letter * 20} for letter in "ab")
    place = f"/v1/contexts/{server.keep(one)}"
    found = [server.ask("POST", place + "/sample", QUESTION, key)[0] for key in (one, two, {})]
    check("tenants see their own", found == [200, 404, 401], found)

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        asked = [
            pool.submit(server.ask, "POST", place + "/sample",
                        json.dumps({"at": "0..60/2", "samples": 50, "seed": seed}), one)
            for seed in range(128)
        ]
        answers = [one.result(PATIENCE) for one in asked]
    found = {status: sum(answer[0] == status for answer in answers) for status in (200, 429)}
    check("overload: each request is answered, by 200 or 429 with a time",
          found[200] > 0 and found[429] > 0 and sum(found.values()) == 128
          and all("retry-after" in answer[2] for answer in answers if answer[0] == 429), found)
    check("ends", server.end(signal.SIGINT) == 0)


with tempfile.TemporaryDirectory() as folder:
    try:
        attempt(everything, folder)
    finally:
        Server.abandon()
sys.exit(1 if check.failed else 0)
