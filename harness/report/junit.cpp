// JUnit XML as CI systems read it: a test case per scenario.
#include <fmt/format.h>

#include <filesystem>

#include "railyard/report.h"

namespace railyard::harness {

namespace {

// For text and attributes. What XML 1.0 has no place for becomes a question mark.
std::string escape(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    auto byte = static_cast<unsigned char>(text[i]);
    switch (byte) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\n':
        out += "&#10;";
        break;
      case '\t':
        out += ' ';
        break;
      default:
        out += byte < 0x20 || byte >= 0x7f ? '?' : text[i];
    }
  }
  return out;
}

std::string properties(const RunReport& report) {
  return fmt::format(
      "      <properties>\n"
      "        <property name=\"verdict\" value=\"{}\"/>\n"
      "        <property name=\"seed\" value=\"{}\"/>\n"
      "        <property name=\"again\" value=\"{}\"/>\n"
      "      </properties>\n",
      escape(report.diagnosis.verdict), report.seed, escape(command_again(report)));
}

std::string outcome(const RunReport& report) {
  if (report.passed) return "";
  if (!report.skipped.empty()) {
    return fmt::format("      <skipped message=\"{}\"/>\n", escape(report.skipped));
  }
  if (report.interrupted) return "      <skipped message=\"interrupted\"/>\n";
  std::string message = report.failures.empty() ? report.diagnosis.headline : report.failures[0];
  const char* element = report.broken ? "error" : "failure";
  return fmt::format("      <{} type=\"{}\" message=\"{}\">{}</{}>\n", element,
                     escape(report.diagnosis.verdict), escape(message),
                     escape(terminal_report(report, false)), element);
}

}  // namespace

std::string junit_report(const std::vector<RunReport>& reports) {
  size_t failed = 0, broken = 0, skipped = 0;
  int64_t total_ns = 0;
  std::string cases;
  for (const RunReport& report : reports) {
    broken += report.broken;
    bool left_out = report.interrupted || !report.skipped.empty();
    skipped += left_out && !report.broken;
    failed += !report.passed && !left_out && !report.broken;
    total_ns += report.total_ns;
    std::string folder = std::filesystem::path(report.file).parent_path().string();
    cases += fmt::format(
        "    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" time=\"{:.6f}\">\n{}{}    "
        "</testcase>\n",
        escape(folder.empty() ? "scenarios" : folder), escape(report.name), escape(report.file),
        static_cast<double>(report.total_ns) / 1e9, properties(report), outcome(report));
  }
  std::string counts =
      fmt::format("tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.6f}\"",
                  reports.size(), failed, broken, skipped, static_cast<double>(total_ns) / 1e9);
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<testsuites name=\"railyard\" {0}>\n  <testsuite name=\"scenarios\" {0}>\n{1}"
      "  </testsuite>\n</testsuites>\n",
      counts, cases);
}

}  // namespace railyard::harness
