"""MLServer as its documentation shows it: settings files beside a pickled model.

    python mlserver_settings.py FOLDER         fits the model
    python mlserver_settings.py FOLDER PORT    serves it

`parallel_workers` is 0: version 1.7 dies with its default of one worker process.
"""

import json
import os
import sys
from pathlib import Path

folder = Path(sys.argv[1])
if len(sys.argv) == 2:
    import joblib
    from model import data, regression

    joblib.dump(regression().fit(*data()), folder / "model.joblib")
else:
    port = int(sys.argv[2])
    server = {"http_port": port, "grpc_port": port + 1, "metrics_port": port + 2, "host": "127.0.0.1"}
    (folder / "settings.json").write_text(json.dumps(server | {"parallel_workers": 0}))
    model = {"name": "regression", "implementation": "mlserver_sklearn.SKLearnModel"}
    outputs = {"parameters": {"uri": "./model.joblib"}}
    (folder / "model-settings.json").write_text(json.dumps(model | outputs))
    command = str(Path(sys.executable).with_name("mlserver"))
    os.execv(command, [command, "start", str(folder)])
