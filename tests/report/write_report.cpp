// Writes the page of made_report() to a file, for a browser to open.
#include <fstream>
#include <iostream>

#include "report/made_report.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: write_report FILE\n";
    return 2;
  }
  std::ofstream file(argv[1], std::ios::binary);
  file << cross::report_html(cross::testing::made_report());
  return file.flush() ? 0 : 1;
}
