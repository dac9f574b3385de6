// Writes the pages of made_report() and decoder_report() to files, for a browser to open.
#include <fstream>
#include <iostream>

#include "report/made_report.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: write_report ENCODER.html DECODER.html\n";
    return 2;
  }
  std::ofstream encoder(argv[1], std::ios::binary), decoder(argv[2], std::ios::binary);
  encoder << cross::report_html(cross::testing::made_report());
  decoder << cross::report_html(cross::testing::decoder_report());
  return encoder.flush() && decoder.flush() ? 0 : 1;
}
