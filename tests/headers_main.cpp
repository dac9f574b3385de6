// Nothing: the target `test_headers` exists to precompile the headers that the tests share.
int main() {}
