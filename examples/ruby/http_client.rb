# Calls a method through the agent's HTTP port: http_client.rb PORT SERVICE METHOD ARGUMENTS [GROUP]. Arguments: a JSON array.
require 'erb'
require 'json'
require 'net/http'

def call(port, service, method, arguments, group = nil)
  path = [service, method].map { |name| ERB::Util.url_encode(name) }.join('/')
  query = group ? "?group=#{ERB::Util.url_encode(group)}" : ''
  # The nil is for no proxy: HTTP_PROXY of the environment is not meant for the agent.
  answer = Net::HTTP.start('127.0.0.1', port.to_i, nil, open_timeout: 5, read_timeout: 5) do |http|
    http.post("/v1/call/#{path}#{query}", JSON.generate(arguments), 'Content-Type' => 'application/json')
  end
  value = JSON.parse(answer.body)
  return value if answer.is_a?(Net::HTTPOK)
  raise "#{value['title']}: #{value['detail']}" # a problem document, RFC 9457
end

begin
  puts JSON.generate(call(*ARGV[0..2], JSON.parse(ARGV[3]), *ARGV[4..4]))
rescue StandardError => error
  abort error.message
end
