"""HTTP for clients: the Messages API's endpoints as async Django views."""
