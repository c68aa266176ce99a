"""LitServe as its documentation shows it: one API, one worker."""

import sys

import joblib
import litserve


class Regression(litserve.LitAPI):
    def setup(self, _):
        self.fitted = joblib.load("model.joblib")

    def decode_request(self, request):
        return request["rows"]

    def predict(self, rows):
        return self.fitted.predict_proba(rows)

    def encode_response(self, probabilities):
        return {"probability": float(probabilities[0, 1])}


if __name__ == "__main__":
    server = litserve.LitServer(Regression(), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, log_level="warning", generate_client_file=False
    )
