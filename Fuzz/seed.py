"""Writes the corpus that fuzzing starts from: small files of each format, by Python's own writers."""
import gzip, io, json, pathlib, struct, zlib
import numpy as np

here = pathlib.Path(__file__).parent / "corpus"


def write(target, name, data):
    folder = here / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())


tables = {
    "plain": "x,y\n1,2.5\n2,NA\n-3e2,\n",
    "quoted": '\ufeffx,"na ""me",y\r\n1,"a,é\r\nb",1.5\r\n\r\n2,"""",inf\r3,c,nan\n',
    "dates": "day,t\n1958-03-29,2014-01-01T00:30\n2000-02-29 06:00:00.5+02:00,2014-01-01T06:00:00Z\n",
    "semicolons": "a;b\n1,5;-2,25e1\n,5;0\n",
    "tabs": "a\tb\n\n1\t\n",
    "notations": "d,q,m,t,n\n1/31/2012,2020Q1,2020 Jan,1/31/2012 3:45 PM,20200131\n2/1/2012,2020Q2,2020 Feb,2/1/2012 12:00 AM,20200201\n"
    "12/1/2012,2020Q4,2020 May,3/1/2012 1:00 PM,20200202\n",
    "amounts": 'y,z\n"1,234.5",$5\n"-1,234,567",-$6\n#N/A,?\n-999,12\n',
    "spaces": "# made by hand\n#  time   level\n 0  1.5 \n# a gap\n 10   gone\n",
    "pipes": "t|y\n31.01.2012|12 %\n01.02.2012|7%\n",
    "digits": "x\n12345678901234567890\n0.1234567890123456789\n1e-400\n9007199254740993\n\n",
}
for name, text in tables.items():
    write("csv", name, text)
lines = [
    '{"x": 1, "y": -2.5e-1, "s": "a \\"b\\" \\u00e9\\ud83d\\ude00\\n"}',
    '{"y": NaN, "x": "2000-01-01", "z": [1, {"a": [true, null]}], "s": ""}',
    "",
    ' {"x":null,"y":Infinity,"e":{}} ',
]
write("jsonlines", "mixed", "\n".join(lines))
write("jsonlines", "plain", '{"a":0,"b":1}\n{"a":2,"b":3}\r\n')


def saved(array, **more):
    out = io.BytesIO()
    np.save(out, array, **more)
    return out.getvalue()


x = np.arange(6.0)
arrays = {
    "f8": x, "f4": np.asfortranarray(x.reshape(3, 2).astype("f4")), "f2": x.astype("f2"), "i8": x.astype("i8"),
    "u1": x.astype("u1"), "bool": x > 2, "days": np.array(["1970-01-02", "NaT"], "datetime64[D]"),
    "ns": np.array(["1970-01-02"], "datetime64[ns]"), "text": np.array(["a"]),
    "records": np.array([(1, 2.0)], [("a", "i4"), ("b", "f8")]), "big": x.astype(">f8"), "cube": x.reshape(1, 2, 3),
}
for name, array in arrays.items():
    write("numpy", name, b"\0" + saved(array)[6:])
for name, save in [("stored", np.savez), ("deflated", np.savez_compressed)]:
    out = io.BytesIO()
    save(out, x=x, m=x.reshape(6, 1), k=np.stack([x, -x], 1))
    write("numpy", name, b"\1" + out.getvalue())
text = "x,y\n" + "".join(f"{i},{i * i % 7}\n" for i in range(60))
for name, level, strategy in [
    ("dynamic", 9, zlib.Z_DEFAULT_STRATEGY), ("fixed", 9, zlib.Z_FIXED), ("stored", 0, zlib.Z_DEFAULT_STRATEGY),
    ("huffman", 9, zlib.Z_HUFFMAN_ONLY),
]:
    packer = zlib.compressobj(level, zlib.DEFLATED, -15, 9, strategy)
    body = packer.compress(text.encode()) + packer.flush()
    write("deflate", name, body)
    end = struct.pack("<II", zlib.crc32(text.encode()), len(text))
    write("gzip", name, b"\0" * 7 + body + end)
write("gzip", "named", gzip.compress(text.encode())[3:] + b"\x1f\x8b\x08\x1f" + b"\0" * 6 + b"\2\0abn\0c\0\0\0")
for index, text in enumerate([
    "0.1", "-12345678901234567.25e-3", "9007199254740993", "2000-02-29T12:30:00.25+05:30", "0..1/0.1,5..7/1",
    "1970-01-31..1972-01-01/1mo", "2014-01-01T00:00Z..2014-01-02T00:00Z/12h", "NaN", " -inf ", "2013-1st Quarter", "31-JAN-2012 11:59 pm", "Jan 31, 2012", "-1,234,567.5 €", "%d/%m/%Y %I:%M %p",
    "2020-01-01..2021-01-01/1q", "2012/1/31 05:00 UTC", "2020M1",
]):
    write("numbers", str(index), text)
head = (
    '{"__metadata__":{"a":"b"},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
    '"i":{"dtype":"I64","shape":[1,1],"data_offsets":[8,16]}}'
)
write("safetensors", "two", struct.pack("<Q", len(head)) + head.encode() + b"\0" * 16)
half = '{"h":{"dtype":"BF16","shape":[3],"data_offsets":[0,6]}}  '
write("safetensors", "half", struct.pack("<Q", len(half)) + half.encode() + b"\1\2\3\4\5\6")

for index, text in enumerate([
    "auto", " sequential ( capacity:16 , order:given ) ", "blocks(of:8,strict)", "coarse-to-fine(r:4,anchors:2)", "lineage(r:3)",
    "window(sinks:4,span:16)", "log-sparse", "random-sparse(reads:8)", "speculative(draft:8,capacity:9)",
    "coarse-to-fine-verified(r:2)",
]):
    write("plans", str(index), text)
spec = {"weights": "learned", "features": "identity", "function": "linear", "loss": "squared", "optimiser": {"gradient": {"steps": 2}},
        "readOut": "raw"}
for name, settings in {
    "sizes": {"prior": "gp", "steps": 12, "batch": 4, "context": [4, 8], "buffers": [4], "targets": 4, "seed": 18446744073709551615},
    "rates": {"rate": 1e-3, "warmUp": 0.05, "beta1": 0.9, "beta2": 0.99, "epsilon": 1e-8, "decay": 0, "clip": 1e300, "average": 0.9},
    "network": {"blueprint": {"width": 16, "layers": 2, "heads": 2, "norm": "post", "scaling": "residual", "periods": 2,
                              "neighbours": 4, "localComponents": 1, "memories": ["softmax", {"context": spec, "buffer": spec}]}},
}.items():
    write("configuration", name, json.dumps(settings))
waves = [{"evidence": 309.8, "frequency": 1.0593, "share": 0.78}, {"evidence": 42.9, "frequency": 0.4588, "share": 0.33}]
shape = {"degree": 2, "frequencies": [1.0593], "harmonics": 2, "low": -1.9362, "range": 3.6}
line = {"factors": [0.82, -0.04, 1.28, 0.32, -0.22, 0.3], "shape": shape, "waves": waves}
periods = {"beyond": 1.09, "constant": -0.05, "inside": 1.14, "lines": [line], "roughness": 0.65, "skill": 0.94}
scaling = {"fitScale": 1.9, "inputCentres": [-3550.5], "inputScales": [385.1], "outputCentre": 316.6, "outputScale": 0.41,
           "periods": periods}
context = {"fingerprint": "FINGERPRINT", "inputColumns": [{"name": "t", "unit": ""}], "model": "small",
           "outputColumn": {"name": "level", "unit": "m"}, "periods": periods, "rows": 5, "scaling": scaling}
write("contexts", "waves", b"\x05" + json.dumps(context).encode())
none = {"beyond": 1, "constant": 0, "inside": 1, "lines": [], "roughness": 1, "skill": 0}
two = {"fitScale": 1, "inputCentres": [0, 1], "inputScales": [2, 1e3], "outputCentre": 0, "outputScale": 1e-3, "periods": none}
context.update(rows=3, periods=none, scaling=two, inputColumns=context["inputColumns"] * 2)
write("contexts", "two", b"\x83" + json.dumps(context).encode())
write("tasks", "line", '{"x": [1, 2.5, -3e2, 4], "y": [0, 1, 0, 1e-3]}\n\n')
write("tasks", "rows", '{"y": [1, 2], "x": [[1, 2], [3, 4]]}\n{"x": [[0, 0], [0, 0], [1, 1], [1, 1]], "y": [1, 2, 3, 4]}')


def packed(number, form="<Q"):
    return struct.pack(form, number)


def string(text):
    return packed(len(text.encode())) + text.encode()


def value(x):
    """A value of GGUF metadata behind the number of its type."""
    if isinstance(x, bool):
        return packed(7, "<I") + packed(x, "<B")
    if isinstance(x, int):
        return packed(4, "<I") + packed(x, "<I")
    if isinstance(x, float):
        return packed(6, "<I") + packed(x, "<f")
    if isinstance(x, str):
        return packed(8, "<I") + string(x)
    items = [value(item) for item in x]
    return packed(9, "<I") + items[0][:4] + packed(len(x)) + b"".join(item[4:] for item in items)


def gguf(metadata, tensors):
    """Tensors: name, shape (that of a row first), number of the type, bytes."""
    head = b"GGUF" + packed(3, "<I") + packed(len(tensors)) + packed(len(metadata))
    head += b"".join(string(key) + value(x) for key, x in metadata.items())
    body = b""
    for name, shape, kind, data in tensors:
        head += string(name) + packed(len(shape), "<I") + b"".join(packed(side) for side in shape)
        head += packed(kind, "<I") + packed(len(body))
        body += data + bytes(-len(data) % 32)
    return head + bytes(-len(head) % 32) + body


vocabulary = ["a", "b", "t", "h", "e", "\u0120", "th", "the", "\u0120the", "1", "<end>", "i"]
metadata = {
    "general.architecture": "llama", "llama.block_count": 1, "llama.context_length": 64, "llama.embedding_length": 8,
    "llama.feed_forward_length": 8, "llama.attention.head_count": 2, "llama.attention.head_count_kv": 1,
    "llama.attention.layer_norm_rms_epsilon": 1e-5, "llama.rope.freq_base": 100.0, "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "smollm", "tokenizer.ggml.tokens": vocabulary, "tokenizer.ggml.token_type": [1] * 10 + [3, 1],
    "tokenizer.ggml.merges": ["t h", "th e", "\u0120 the"], "tokenizer.ggml.eos_token_id": 10, "tokenizer.ggml.add_bos_token": False,
}
random = np.random.default_rng(1)
sides = {"attn_norm": [8], "attn_q": [8, 8], "attn_k": [8, 4], "attn_v": [8, 4], "attn_output": [8, 8], "ffn_norm": [8],
         "ffn_gate": [8, 8], "ffn_up": [8, 8], "ffn_down": [8, 8]}
matrices = {"token_embd.weight": [8, 12], "output_norm.weight": [8]} | {f"blk.0.{name}.weight": shape for name, shape in sides.items()}
halves = [(name, shape, 0 if len(shape) == 1 else 1, random.normal(size=shape).astype("f4" if len(shape) == 1 else "f2").tobytes())
          for name, shape in matrices.items()]
write("gguf", "llama", gguf(metadata, halves))
blocks = {2: (32, 18), 3: (32, 20), 8: (32, 34), 12: (256, 144), 13: (256, 176), 14: (256, 210), 30: (8, 16)}
write("gguf", "blocks", gguf({"general.alignment": 32, "x": [True, False]}, [
    (f"t{kind}", [count, 2], kind, random.bytes(2 * size)) for kind, (count, size) in blocks.items()]))
